"""Tests of `upgrade`: the database moves to a newer Postgres, or stays and becomes writable again."""

import pytest

from ops.data import database, upgrade
from ops.errors import OpsError, PreconditionError
from tests.support.ops.faults import failing
from tests.unit.ops.data.test_restore import FULL, STEPS
from tests.unit.ops.release.test_killed import KillAt, Killed


@pytest.fixture
def make_server(make_shop):
    """Return a function that makes a server with a live release and a backup."""

    def make(name="shop"):
        shop = make_shop(name)
        shop.docker.backups = [vars(FULL), {"kind": "wal", "lineage": "7-1", "until": 3000}]
        return shop

    return make


def run(shop, major=19):
    """Upgrade without asking."""
    upgrade.upgrade(shop.server(), major, assume_yes=True)


def test_upgraded(make_server):
    """The newer version serves the dump of the read-only database, and is writable."""
    shop = make_server()
    run(shop)
    assert shop.docker.filled[shop.docker.database] == STEPS
    assert shop.docker.database == database.volume(shop.server()) != "shop_db"
    assert "POSTGRES_MAJOR=19" in (shop.folder / ".env").read_text(encoding="utf-8").splitlines()
    assert not shop.docker.read_only
    assert all("POSTGRES_MAJOR=19" in done for done in shop.docker.executed if "restore.sh" in done)


@pytest.mark.parametrize("major", [17, 18])
def test_not_newer(make_server, major):
    """A version that is not newer is refused before any change."""
    shop = make_server()
    with pytest.raises(PreconditionError, match="The database runs Postgres 18"):
        run(shop, major)
    assert shop.docker.read_only is False


@pytest.mark.parametrize("step", ["read_only.sh on", "now dump", *STEPS, " ready"])
def test_failed(make_server, step):
    """A failure before the cutover leaves the old version writable and nothing behind."""
    shop = make_server()
    shop.docker.fail = failing(step)
    with pytest.raises(OpsError):
        run(shop)
    assert (shop.docker.database, shop.docker.volumes, shop.docker.trials) == ("shop_db", {"shop_db"}, set())
    assert not shop.docker.read_only
    assert "POSTGRES_MAJOR" not in (shop.folder / ".env").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_killed(make_server, hook):
    """After a kill at any command, the next command starts the database that .env names, writable."""
    for place in range(60):
        shop = make_server(f"shop-{place}")
        setattr(shop.docker, hook, KillAt(place))
        try:
            run(shop)
        except Killed:
            setattr(shop.docker, hook, lambda _argv: None)
        else:
            assert place > 10
            return
        shop.recover()
        assert (shop.docker.database, shop.docker.read_only) == (database.volume(shop.server()), False)
        assert not shop.server().restore_file.exists()
