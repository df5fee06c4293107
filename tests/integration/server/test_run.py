"""scripts/run.sh, which `make run` calls in the virtual environment, serves from a fresh copy of the project."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from tests.support.helpers import ROOT, free_port, wait_for
from tests.support.integration.client import send_request

REQUIRED = ("app", "migrations", "scripts", "config.py", "wsgi.py", "gunicorn.conf.py", ".flaskenv")


@pytest.fixture
def project(tmp_path):
    """A copy of the required files, with a link to this virtual environment."""
    for name in REQUIRED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@contextlib.contextmanager
def running(project, **environ):
    """Run the script during the block; yield its port."""
    port = free_port()
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        ["bash", "scripts/run.sh"],
        cwd=project,
        env={**base, "PORT": str(port), **environ},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: send_request(port, "GET", "/health").status == 200, seconds=60)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)


def count_products(port):
    """Count the products of the first page."""
    return len(send_request(port, "GET", "/api/products?limit=100").json["items"])


def test_first_and_second_run(project):
    """The first run creates the samples; the second one reuses them."""
    with running(project) as port:
        assert count_products(port) == 100
    stamp = (project / "instance/.prepared").stat().st_mtime_ns
    with running(project) as port:
        assert count_products(port) == 100
    assert (project / "instance/.prepared").stat().st_mtime_ns == stamp


def test_recreates_the_database(project):
    """A deleted database, or a different one, is created and filled again."""
    with running(project):
        pass
    for path in (project / "instance").glob("app.db*"):
        path.unlink()
    with running(project) as port:
        assert count_products(port) == 100
    with running(project, DATABASE_URL=f"sqlite:///{project}/other.db", WEB_CONCURRENCY="") as port:
        assert count_products(port) == 100
