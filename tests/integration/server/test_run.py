"""scripts/run.sh, which is `make run` behind the virtual environment: from a bare copy of the project to an answer."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from tests.support.helpers import ROOT, free_port, wait_for
from tests.support.integration.client import ask

NEEDED = ("app", "migrations", "scripts", "config.py", "wsgi.py", "gunicorn.conf.py", ".flaskenv")


@pytest.fixture
def project(tmp_path):
    """A copy of what a run needs, with this environment's programs and nothing made yet."""
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@contextlib.contextmanager
def running(project, **environ):
    """Run the script for the block, and return the port that it serves on."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        ["bash", "scripts/run.sh"], cwd=project, env={**kept, "PORT": str(port), **environ}, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(lambda: ask(port, "GET", "/health").status == 200, seconds=30)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


def products(port):
    """Return how many products the first pages show."""
    return len(ask(port, "GET", "/api/products?limit=100").json["items"])


def test_first_and_second_run(project):
    """The first run serves the samples; the second finds them there and prepares nothing."""
    with running(project) as port:
        assert products(port) == 100
    stamp = (project / "instance/.prepared").stat().st_mtime_ns
    with running(project) as port:
        assert products(port) == 100
    assert (project / "instance/.prepared").stat().st_mtime_ns == stamp


def test_prepares_again(project):
    """A database that was taken away, and another one, are prepared like the first."""
    with running(project):
        pass
    for path in (project / "instance").glob("app.db*"):
        path.unlink()
    with running(project) as port:
        assert products(port) == 100
    with running(project, DATABASE_URL=f"sqlite:///{project}/other.db", WEB_CONCURRENCY="") as port:
        assert products(port) == 100
