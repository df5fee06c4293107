"""A server that a release was brought to: its folder is real, Docker and the clock are not."""

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
from ops.release.recovery import exclusive
from ops.server import FILE, Server, disk
from tests.support.ops.fake_image import Image
from tests.support.ops.fake_server import SECRETS, FakeDocker, FakeRunner


class Clock:
    """A clock that sleeping moves, and nothing else."""

    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        """Return the seconds."""
        return self.now

    def sleep(self, seconds):
        """Let them pass at once."""
        self.now += seconds


class Shop:
    """The server's folder, and each command of ops as a person would give it."""

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
        """Return what each command begins with."""
        return Server(self.folder, FakeRunner(is_dry_run=dry, docker=self.docker), self.folder / FILE)

    def fetched(self, commit, **behaviour):
        """Return the image of a release that was pulled and unpacked."""
        image = Image(commit, **behaviour)
        self.docker.images[image.name] = image
        self.unpack(bundle_of(self.server(), image.name), commit)
        return image

    def unpack(self, bundle, commit):
        """Put a release's bundle into a folder."""
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
        """Go back."""
        deploy.rollback(self.server(), image, 60)

    def canary(self, image, percent=10, seconds=4, budget=1):
        """Begin a canary."""
        deploy.canary(self.server(), DeployRequest(image.name, canary=CanaryPolicy(percent, seconds, budget)))

    def promote(self):
        """Give it all users."""
        deploy.promote(self.server(), 60)

    def abort(self):
        """Take its users back."""
        deploy.abort(self.server())

    def recover(self):
        """Recover, as each command does first."""
        with exclusive(self.server(), "nothing"):
            pass

    def outside(self, _server, path):
        """Response as nginx would, unless something keeps users from it."""
        return (
            Response(*self.docker.answer(self.docker.nginx.colour, path)) if self.reachable else Response(0, "refused")
        )

    def headers(self, _server, path, *, tls=True):
        """Response as nginx would, in the clear or by TLS."""
        return {"Strict-Transport-Security": "max-age=86400"} if tls else {"Location": f"https://shop.example{path}"}

    @property
    def journal(self):
        """What is under way."""
        return state.read_journal(self.server().journal_file)

    @property
    def history(self):
        """What was done, as (command, release, result)."""
        path = self.server().history_file
        entries = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.exists() else []
        return [(entry["command"], entry["release"], entry["result"]) for entry in entries]

    @property
    def users_meet(self):
        """The release that all users meet, or None."""
        serving = self.docker.nginx
        meets = serving.colour in self.docker.running and not serving.percent
        return self.docker.colours[serving.colour].commit if meets else None

    @property
    def running(self):
        """The releases that run."""
        return sorted(self.docker.colours[colour].commit for colour in self.docker.running)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock that ops waits by."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(canary, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def _same_signals():
    """Give SIGTERM and SIGHUP back, which a command of ops takes."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def make_new_shop(tmp_path, monkeypatch):
    """Return a function that makes a server that `init` has just prepared, with room on its disk."""
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
    """Return a function that makes a server where the release `first` serves, on web-green."""

    def make(name="shop"):
        shop = make_new_shop(name)
        shop.deploy(shop.fetched("first"))
        shop.docker.done.clear()
        return shop

    return make


@pytest.fixture
def new_shop(make_new_shop):
    """A server that `init` has just prepared."""
    return make_new_shop()


@pytest.fixture
def shop(make_shop):
    """A server where the release `first` serves, on web-green."""
    return make_shop()


@pytest.fixture
def at_step(monkeypatch):
    """Return a function that lets an exception happen as a step begins, once."""

    def arrange(name, error):
        errors = [error]

        def echo(text):
            if text == f"  {name} …" and errors:
                raise errors.pop()
            real(text)

        monkeypatch.setattr(progress, "echo", echo)

    real = progress.echo
    return arrange
