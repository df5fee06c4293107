"""A server with a real folder, a fake Docker and a fake clock."""

import json
import signal
import time

import pytest

from ops import progress
from ops.docker import nginx
from ops.docker.nginx import Response
from ops.release import canary, deploy, state
from ops.release.bundle import MOUNTED, bundle_of
from ops.release.deployment import CanaryPolicy, DeployRequest
from ops.release.pipeline import exclusive
from ops.server import FILE, Server, disk
from tests.support.ops.fake_docker import SECRETS, FakeDocker, FakeRunner
from tests.support.ops.fake_image import Image


class Clock:
    """A clock that only sleeping advances."""

    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        """Return the time."""
        return self.now

    def sleep(self, seconds):
        """Advance the clock."""
        self.now += seconds


class Shop:
    """A server's folder and the commands of an operator."""

    def __init__(self, folder):
        self.folder, self.docker, self.reachable = folder, FakeDocker(folder), True
        for path in ("state/traffic/active-colour.conf", "secrets/-", ".env", FILE):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("split_clients $a $b { * web-blue; }\n", encoding="utf-8")
        for name in SECRETS:
            (folder / "secrets" / name).write_text("secret", encoding="utf-8")
        for name in ("ops", *MOUNTED, "nginx"):
            (folder / name).mkdir(parents=True)

    def server(self, *, dry=False):
        """Return the server as a command gets it."""
        return Server(self.folder, FakeRunner(is_dry_run=dry, docker=self.docker), self.folder / FILE)

    def fetched(self, commit, **behaviour):
        """Pull and unpack a release; return its image."""
        image = Image(commit, **behaviour)
        self.docker.images[image.name] = image
        self.unpack(bundle_of(self.server(), image.name), commit)
        return image

    def unpack(self, bundle, commit):
        """Write a release's bundle to a folder."""
        for name in (
            FILE,
            "nginx/production.conf",
            "ops/__main__.py",
            "deploy/postgres/roles.sh",
            "deploy/pgbouncer/start.sh",
            "deploy/certbot/renew.py",
            "deploy/backup/schedule.sh",
            "deploy/observability/prometheus.yml",
        ):
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_text(commit, encoding="utf-8")

    def deploy(self, image, *, dry=False, **request):
        """Deploy an image."""
        deploy.deploy(self.server(dry=dry), DeployRequest(image.name, **request))

    def rollback(self, image=""):
        """Roll back."""
        deploy.rollback(self.server(), image, 60)

    def canary(self, image, percent=10, seconds=4, budget=1):
        """Start a canary."""
        deploy.canary(self.server(), DeployRequest(image.name, canary=CanaryPolicy(percent, seconds, budget)))

    def promote(self):
        """Promote the canary."""
        deploy.promote(self.server(), 60)

    def abort(self):
        """Abort the canary."""
        deploy.abort(self.server())

    def recover(self):
        """Recover, as each command does first."""
        with exclusive(self.server(), "nothing"):
            pass

    def outside(self, _server, path):
        """Return nginx's public response, unless the server is unreachable."""
        return (
            Response(*self.docker.respond(self.docker.nginx.colour, path)) if self.reachable else Response(0, "refused")
        )

    def headers(self, _server, path, *, tls=True):
        """Return nginx's public headers."""
        return {"Strict-Transport-Security": "max-age=86400"} if tls else {"Location": f"https://shop.example{path}"}

    @property
    def journal(self):
        """The operation under way."""
        return state.read_journal(self.server().journal_file)

    @property
    def history(self):
        """The history as (command, release, result)."""
        path = self.server().history_file
        entries = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.exists() else []
        return [(entry["command"], entry["release"], entry["result"]) for entry in entries]

    @property
    def active_release(self):
        """The release that has all traffic, or None."""
        traffic = self.docker.nginx
        is_whole = traffic.colour in self.docker.running and not traffic.percent
        return self.docker.colours[traffic.colour].commit if is_whole else None

    @property
    def running(self):
        """The running releases."""
        return sorted(self.docker.colours[colour].commit for colour in self.docker.running)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock of ops."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(canary, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def _signal_handlers():
    """Restore the handlers of SIGTERM and SIGHUP, which ops replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def make_new_shop(tmp_path, monkeypatch):
    """Return a function that makes an initialised server with free disk space."""
    monkeypatch.setattr(disk, "FREE_BYTES", 0)

    def make(name="shop"):
        (tmp_path / name).mkdir()
        shop = Shop(tmp_path / name)
        monkeypatch.setattr(nginx, "get_public", shop.outside)
        monkeypatch.setattr(nginx, "get_public_headers", shop.headers)
        return shop

    return make


@pytest.fixture
def make_shop(make_new_shop):
    """Return a function that makes a server with the release `first` active on web-green."""

    def make(name="shop"):
        shop = make_new_shop(name)
        shop.deploy(shop.fetched("first"))
        shop.docker.executed.clear()
        return shop

    return make


@pytest.fixture
def new_shop(make_new_shop):
    """An initialised server."""
    return make_new_shop()


@pytest.fixture
def shop(make_shop):
    """A server with the release `first` active on web-green."""
    return make_shop()


@pytest.fixture
def at_step(monkeypatch):
    """Return a function that raises an exception when a step begins, once."""

    def arrange(name, error):
        errors = [error]

        def echo(text):
            if text == f"  {name} …" and errors:
                raise errors.pop()
            real(text)

        monkeypatch.setattr(progress, "echo", echo)

    real = progress.echo
    return arrange
