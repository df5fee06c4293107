"""Without a Docker engine this module is all that is collected of the level."""

import os
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT
from tests.support.stack.compose import has_engine

if not has_engine():
    pytest.skip("the stack level needs a Docker engine with Compose, and none answers", allow_module_level=True)


def test_without_an_engine_one_line_says_that_the_level_is_skipped():
    """A machine without a Docker engine is told in one line that nothing here was tested."""
    command = [sys.executable, "-m", "pytest", "tests/stack", "-rs", "-p", "no:cacheprovider"]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    skipped = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 1, output
    assert "needs a Docker engine" in skipped[0]
    assert "1 skipped" in output.splitlines()[-1]
