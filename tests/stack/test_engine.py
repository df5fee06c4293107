"""Without a Docker engine pytest collects only this module of the stack level."""

import os
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT
from tests.support.stack.compose import has_engine

if not has_engine():
    pytest.skip("the stack level needs a Docker engine with Compose, and none answers", allow_module_level=True)


@pytest.mark.smoke
def test_without_an_engine_the_level_is_skipped():
    """Without a Docker engine one line says that the stack level was skipped."""
    command = [sys.executable, "-m", "pytest", "tests/stack", "-rs", "-p", "no:cacheprovider"]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    skipped = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 1, output
    assert "needs a Docker engine" in skipped[0]
    assert "1 skipped" in output.splitlines()[-1]
