"""A failed step: all traffic stays on, or returns to, the previous release, and the message names the cause."""

import errno

import pytest

from ops import files
from ops.errors import OpsError
from ops.release import state
from ops.release.bundle import bundle_of
from tests.support.ops.faults import failing

MIGRATION = '[{"revision": "0007", "contract": false, "title": "add a price"}]'


COMMANDS = {
    "preflight": "redis-cache",
    "migrate": "db upgrade",
    "start": "--pull never web-blue",
    "ready": "docker inspect",
}
IMAGES = {
    "web-blue exited with code 3": {"exits": True},
    "/health/ready of shop-web-blue-1 returned 503": {"ready": 503},
    "It reports another release than second": {"reports": "other"},
    "/api/products of web-blue returned 500": {"api": 500},
}
VERIFIED = {"drain": ("[s]hutting down", 3), "stop": ("stop web-green", 0)}  # the reload queries the workers too


def is_as_before(shop):
    """Whether the old release has all traffic, nothing else runs, and the history has the failure."""
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert shop.history[-1] == ("deploy", "second", "failed")
    assert shop.journal is None
    return True


@pytest.mark.guarantee("A deploy killed at any step leaves users on a working release, and the next deploy recovers")
@pytest.mark.parametrize("step", COMMANDS)
def test_before_the_switch(shop, step):
    """A failure before the switch stops the idle colour and does not touch nginx."""
    shop.docker.fail = failing(COMMANDS[step])
    with pytest.raises(OpsError, match=f"deploy stopped at “{step}”"):
        shop.deploy(shop.fetched("second", pending=MIGRATION))
    assert is_as_before(shop)
    assert not any("reload" in done for done in shop.docker.executed)


@pytest.mark.parametrize("seen", IMAGES)
def test_broken_image(shop, capsys, seen):
    """A broken image gets no traffic, and the output names the cause."""
    with pytest.raises(OpsError, match=r'From outside, /health/version returns: 200 {"release": "first"}'):
        shop.deploy(shop.fetched("second", **IMAGES[seen]))
    assert is_as_before(shop)
    assert not any("reload" in done for done in shop.docker.executed)
    assert seen in capsys.readouterr().out


def test_last_lines(shop, capsys):
    """The output contains the last log lines of an application that is not ready."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", exits=True))
    assert "no module named shop" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["apply-config.sh", "-s reload"])
def test_switch(shop, text):
    """If nginx rejects the new configuration, the old one is restored."""
    shop.docker.fail = failing(text)
    with pytest.raises(OpsError, match="deploy stopped at “switch”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)
    assert shop.server().traffic.colour == "green"
    assert (shop.folder / "nginx/production.conf").read_text(encoding="utf-8") == "first"


def test_partial_switch(shop, monkeypatch):
    """A failure after the new nginx configuration is in place restores the old one."""
    write, errors = state.write_traffic, [OSError(errno.ENOSPC, "No space left on device")]

    def full(path, wanted):
        if errors:
            raise errors.pop()
        write(path, wanted)

    second = shop.fetched("second")
    monkeypatch.setattr(state, "write_traffic", full)
    with pytest.raises(OpsError, match="deploy stopped at “switch”"):
        shop.deploy(second)
    assert is_as_before(shop)
    assert (shop.folder / "nginx/production.conf").read_text(encoding="utf-8") == "first"


def test_verify(shop):
    """A release that fails verification loses the traffic before its colour is stopped."""
    shop.reachable = False
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


@pytest.mark.parametrize("step", VERIFIED)
def test_after_verify(shop, step):
    """A failure after verification fails the deploy, keeps the new release, and the next command finishes it."""
    text, before = VERIFIED[step]
    shop.docker.fail = failing(text, after=before)
    with pytest.raises(OpsError, match=f"stopped at “{step}”. All traffic is on second, verified; the next command"):
        shop.deploy(shop.fetched("second"))
    assert (shop.active_release, shop.journal.step) == ("second", step)
    shop.recover()
    assert (shop.active_release, shop.running, shop.journal, shop.docker.lost) == ("second", ["second"], None, [])
    assert shop.history[1:] == [("deploy", "second", "ok"), ("deploy", "second", "incomplete")]


def test_failed_undo(shop):
    """If the undo fails too, the message says so, and the next command retries it."""
    shop.docker.fail = failing("-s reload", times=2)
    with pytest.raises(OpsError, match="Undo failed"):
        shop.deploy(shop.fetched("second"))
    shop.recover()
    assert (shop.active_release, shop.running, shop.journal) == ("first", ["first"], None)


@pytest.mark.parametrize("step", ["migrate", "ready", "switch", "verify"])
def test_unexpected_error(shop, at_step, step):
    """An unexpected error, such as a full disk, is undone like any other."""
    at_step(step, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OpsError, match=f"deploy stopped at “{step}”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


def test_full_disk_at_the_record_step(shop, monkeypatch):
    """A step that cannot be written to the journal has not begun: the previous step is undone."""
    write = state.write_journal

    def full(path, journal):
        if journal.step == "record":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, journal)

    monkeypatch.setattr(state, "write_journal", full)
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)


def test_full_disk_at_the_undo(shop, monkeypatch, capsys):
    """A disk without room for the old nginx configuration does not keep traffic on an unverified release."""
    mirror = files.mirror

    def full(source, target):
        if source.parent.name != second.parent.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        mirror(source, target)

    second = bundle_of(shop.server(), shop.fetched("second").name) / "nginx"
    monkeypatch.setattr(files, "mirror", full)
    shop.reachable = False
    with pytest.raises(OpsError, match="deploy stopped at “verify”"):
        shop.deploy(shop.fetched("second"))
    assert is_as_before(shop)
    assert "nginx keeps its current configuration: [Errno 28]" in capsys.readouterr().out


def test_next_good_deploy(shop):
    """After a failed deploy, the next one succeeds."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", exits=True))
    shop.deploy(shop.fetched("third"))
    assert (shop.active_release, shop.running) == ("third", ["third"])


def test_failed_rollback(shop):
    """A failed rollback leaves the active release."""
    shop.deploy(shop.fetched("second"))
    shop.docker.fail = failing("--pull never web-green")
    with pytest.raises(OpsError, match="rollback stopped at “start”"):
        shop.rollback()
    assert (shop.active_release, shop.running) == ("second", ["second"])


@pytest.mark.parametrize("text", ["-s reload", "[s]hutting", "stop web-blue"])
def test_failed_abort(shop, text):
    """A failed abort never stops the colour that has the traffic."""
    shop.canary(shop.fetched("second"))
    shop.docker.fail = failing(text)
    with pytest.raises(OpsError, match="abort stopped"):
        shop.abort()
    assert shop.docker.lost == []
    assert "first" in shop.running
