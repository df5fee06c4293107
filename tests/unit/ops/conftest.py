"""A server that a release was brought to: its folder is real, Docker and the clock are not."""

import json
import signal
import time

import pytest

from ops import canary, check, deploy, edge, journal, progress, promotion, release
from ops.deploy import Wish
from ops.edge import Answer
from ops.operation import exclusive
from ops.site import FILE, Site
from tests.support.ops.fake_image import Image
from tests.support.ops.fake_server import SECRETS, FakeRunner, Server


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
        self.folder, self.server, self.reachable = folder, Server(folder), True
        for path in ("state/serving/serving.conf", "secrets/-", ".env", FILE):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("split_clients $a $b { * web-blue; }\n", encoding="utf-8")
        for name in SECRETS:
            (folder / "secrets" / name).write_text("secret", encoding="utf-8")
        for name in ("ops", *check.MOUNTED, "nginx"):
            (folder / name).mkdir(parents=True)

    def site(self, *, dry=False):
        """Return what each command begins with."""
        return Site(self.folder, FakeRunner(dry=dry, server=self.server), self.folder / FILE)

    def fetched(self, commit, **behaviour):
        """Return the image of a release that was pulled and unpacked."""
        image = Image(commit, **behaviour)
        self.server.images[image.name] = image
        self.unpack(release.bundle_of(self.site(), image.name), commit)
        return image

    def unpack(self, bundle, commit):
        """Put a release's bundle into a folder."""
        for name in (
            FILE,
            "nginx/production.conf",
            "ops/__main__.py",
            "deploy/postgres/roles.sh",
            "deploy/pgbouncer/start.sh",
            "deploy/certbot/care.py",
            "deploy/backup/care.sh",
            "deploy/observability/prometheus.yml",
        ):
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_text(commit, encoding="utf-8")

    def deploy(self, image, *, dry=False, **wish):
        """Deploy an image."""
        deploy.deploy(self.site(dry=dry), Wish(image.name, **wish))

    def rollback(self, image=""):
        """Go back."""
        deploy.rollback(self.site(), image, 60)

    def canary(self, image, percent=10, seconds=4, budget=1):
        """Begin a canary."""
        promotion.canary(self.site(), Wish(image.name), canary.Watch(percent, seconds, budget))

    def promote(self):
        """Give it all users."""
        promotion.promote(self.site(), 60)

    def abort(self):
        """Take its users back."""
        promotion.abort(self.site())

    def mend(self):
        """Do what each command does first."""
        with exclusive(self.site(), "nothing"):
            pass

    def outside(self, _site, path):
        """Answer as nginx would, unless something keeps users from it."""
        return Answer(*self.server.answer(self.server.nginx.colour, path)) if self.reachable else Answer(0, "refused")

    def headers(self, _site, path, *, tls=True):
        """Answer as nginx would, in the clear or by TLS."""
        return {"Strict-Transport-Security": "max-age=86400"} if tls else {"Location": f"https://shop.example{path}"}

    @property
    def journal(self):
        """What is under way."""
        return journal.read(self.site().journal_file)

    @property
    def history(self):
        """What was done, as (command, release, result)."""
        path = self.site().history_file
        entries = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.exists() else []
        return [(entry["command"], entry["release"], entry["result"]) for entry in entries]

    @property
    def users_meet(self):
        """The release that all users meet, or None."""
        serving = self.server.nginx
        meets = serving.colour in self.server.running and not serving.percent
        return self.server.colours[serving.colour].commit if meets else None

    @property
    def running(self):
        """The releases that run."""
        return sorted(self.server.colours[colour].commit for colour in self.server.running)


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
    monkeypatch.setattr(check, "FREE_BYTES", 0)

    def make(name="shop"):
        (tmp_path / name).mkdir()
        shop = Shop(tmp_path / name)
        monkeypatch.setattr(edge, "ask_outside", shop.outside)
        monkeypatch.setattr(edge, "headers_outside", shop.headers)
        return shop

    return make


@pytest.fixture
def make_shop(make_new_shop):
    """Return a function that makes a server where the release `first` serves, on web-green."""

    def make(name="shop"):
        shop = make_new_shop(name)
        shop.deploy(shop.fetched("first"))
        shop.server.done.clear()
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

        def say(text):
            if text == f"  {name} …" and errors:
                raise errors.pop()
            real(text)

        monkeypatch.setattr(progress, "say", say)

    real = progress.say
    return arrange
