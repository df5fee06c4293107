"""A step that fails: users stay with, or come back to, the release that served; the message says what was seen."""

import errno

import pytest

from ops import files
from ops.errors import OpsError
from ops.release import colours, journal, traffic
from tests.support.ops.faults import failing

MIGRATION = '[{"revision": "0007", "contract": false, "title": "add a price"}]'


COMMANDS = {
    "check": "redis-cache",
    "migrate": "db upgrade",
    "start": "--pull never web-blue",
    "ready": "docker inspect",
}
IMAGES = {
    "did not start: it ended with exit code 3": {"ends": True},
    "/health/ready of shop-web-blue-1 answered 503": {"ready": 503},
    "It says that it is another release than second": {"says": "other"},
    "/api/products of web-blue answered: 500": {"api": 500},
}
FINISHING = {"drain": ("[s]hutting down", 3), "stop": ("stop web-green", 0)}  # the reload looks at workers too


def is_as_before(shop):
    """Tell whether the old release serves, alone, and the failure is in the history."""
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert shop.history[-1] == ("deploy", "second", "failed")
    assert shop.journal is None
    return True


@pytest.mark.parametrize("step", COMMANDS)
def test_before_the_switch(shop, step):
    """A command that fails before the switch: the idle colour is stopped, and nginx is not touched."""
    shop.docker.fail = failing(COMMANDS[step])
    with pytest.raises(OpsError, match=f"deploy stopped at “{step}”"):
        shop.deploy(shop.fetched("second", pending=MIGRATION))
    assert is_as_before(shop)
    assert not any("reload" in done for done in shop.docker.done)


@pytest.mark.parametrize("seen", IMAGES)
def test_broken_image(shop, capsys, seen):
    """An image that is broken meets no user, and what was seen of it is said."""
    with pytest.raises(OpsError, match=r'From outside, /health/version answers: 200 {"release": "first"}'):
        shop.deploy(shop.fetched("second", **IMAGES[seen]))
    assert is_as_before(shop)
    assert not any("reload" in done for done in shop.docker.done)
    assert seen in capsys.readouterr().out


def test_last_lines(shop, capsys):
    """What the application logged last is shown when it was not ready."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", ends=True))
    assert "no module named shop" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["apply-config.sh", "-s reload"])
def test_switch(shop, text):
    """Nginx refuses the new release's configuration: the old release's is in its place again."""
    shop.docker.fail = failing(text)
    with pytest.raises(OpsError, match="deploy stopped at “switch”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)
    assert shop.server().traffic.colour == "green"
    assert (shop.folder / "nginx/production.conf").read_text(encoding="utf-8") == "first"


def test_switch_half_way(shop, monkeypatch):
    """Failing when the new release's configuration of nginx lies there, and nothing else: the old one's is back."""
    write, errors = traffic.write, [OSError(errno.ENOSPC, "No space left on device")]

    def full(path, wanted):
        if errors:
            raise errors.pop()
        write(path, wanted)

    second = shop.fetched("second")
    monkeypatch.setattr(traffic, "write", full)
    with pytest.raises(OpsError, match="deploy stopped at “switch”"):
        shop.deploy(second)
    assert is_as_before(shop)
    assert (shop.folder / "nginx/production.conf").read_text(encoding="utf-8") == "first"


def test_verify(shop):
    """Not seen from outside: users are switched back, and nginx' old workers end before the new colour is stopped."""
    shop.reachable = False
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


@pytest.mark.parametrize("step", FINISHING)
def test_after_verify(shop, step):
    """Once the new release was seen to serve nothing is taken back; the next command finishes it."""
    text, before = FINISHING[step]
    shop.docker.fail = failing(text, after=before)
    shop.deploy(shop.fetched("second"))
    assert (shop.users_meet, shop.journal.step) == ("second", step)
    shop.mend()
    assert (shop.users_meet, shop.running, shop.journal, shop.docker.lost) == ("second", ["second"], None, [])
    assert shop.history[1:] == [("deploy", "second", "ok")]


def test_cannot_be_put_back(shop):
    """Where putting back fails too, that is said, and the next command does it."""
    shop.docker.fail = failing("-s reload", times=2)
    with pytest.raises(OpsError, match="could not be put back"):
        shop.deploy(shop.fetched("second"))
    shop.mend()
    assert (shop.users_meet, shop.running, shop.journal) == ("first", ["first"], None)


@pytest.mark.parametrize("step", ["migrate", "ready", "switch", "verify"])
def test_unforeseen(shop, at_step, step):
    """An error that nobody thought of, such as a full disk, puts users back like any other."""
    at_step(step, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OpsError, match=f"deploy stopped at “{step}”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


def test_full_when_it_is_recorded(shop, monkeypatch):
    """What cannot be written down has not begun: users are with the release that the next command believes in."""
    write = journal.write

    def full(path, state):
        if state.step == "record":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, state)

    monkeypatch.setattr(journal, "write", full)
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


def test_full_when_it_is_put_back(shop, monkeypatch, capsys):
    """A disk without room for the old configuration does not keep users with a release that was not verified."""
    mirror = files.mirror

    def full(source, target):
        if source.parent.name != second.parent.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        mirror(source, target)

    second = colours.bundle_of(shop.server(), shop.fetched("second").name) / "nginx"
    monkeypatch.setattr(files, "mirror", full)
    shop.reachable = False
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)
    assert "nginx keeps the configuration that lies there: [Errno 28]" in capsys.readouterr().out


def test_next_good_deploy(shop):
    """After a failed one, the next good deploy works."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", ends=True))
    shop.deploy(shop.fetched("third"))
    assert (shop.users_meet, shop.running) == ("third", ["third"])


def test_failed_rollback(shop):
    """A rollback that fails leaves the release that served."""
    shop.deploy(shop.fetched("second"))
    shop.docker.fail = failing("--pull never web-green")
    with pytest.raises(OpsError, match="rollback stopped at “start”"):
        shop.rollback()
    assert (shop.users_meet, shop.running) == ("second", ["second"])


@pytest.mark.parametrize("text", ["-s reload", "[s]hutting", "stop web-blue"])
def test_failed_abort(shop, text):
    """An abort that fails half way never stops the colour that has the users."""
    shop.canary(shop.fetched("second"))
    shop.docker.fail = failing(text)
    with pytest.raises(OpsError, match="abort stopped"):
        shop.abort()
    assert shop.docker.lost == []
    assert "first" in shop.running
