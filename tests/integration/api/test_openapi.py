"""The OpenAPI description, checked against a running server by Schemathesis."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT

CONFIG = ROOT / "tests/support/integration/schemathesis.toml"
EXAMPLES = 6  # for each operation, in addition to the systematic ones


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server with one worker."""
    return serve(postgres_url, valkey.url)


@pytest.mark.guarantee(
    "Every operation responds as its OpenAPI description says, whatever the input, and never with 500"
)
def test_conformance(server, auth_for, postgres_url, folder):
    """For valid, invalid and missing input every operation responds as described, without a 500."""
    token = auth_for(postgres_url)["Authorization"].removeprefix("Bearer ")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", "--no-color"]
    command += ["--checks", "all", "--max-examples", str(EXAMPLES), "--generation-deterministic"]
    command += [f"http://127.0.0.1:{server.port}/api/openapi.json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "API_TOKEN": token}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 12" in done.stdout
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 500
    assert "Traceback" not in server.log.read_text()
