"""Tests of `restore`: which backup it chooses, and that the live database is untouched until the cutover."""

import sys
from datetime import UTC, datetime

import pytest

from ops.data import database, restore
from ops.data.backups import Backup, Catalogue
from ops.errors import OpsError, PreconditionError
from tests.support.ops.faults import Killed, failing
from tests.unit.ops.release.test_killed import KillAt

FULL = Backup("full", "20261101T020000Z-full", "7-1", 900, 1000, 40, "")
SECOND = Backup("incremental", "20261102T020000Z-incremental", "7-1", 1900, 2000, 4, FULL.name)
DUMP = Backup("dump", "20261102T030000Z-dump", "dumps", 2100, 2200, 4, "")
AFTERWARDS = Backup("full", "20261103T020000Z-full", "7-2", 3900, 4000, 40, "")
FOUND = Catalogue([FULL, SECOND, DUMP, AFTERWARDS], {"7-1": 3000, "7-2": 5000})
STEPS = ["verify", "unpack", "recover", "check"]


@pytest.fixture
def server(shop):
    """Return a server with a live release and backups."""
    known = [{**vars(each)} for each in FOUND.backups]
    shop.docker.backups = known + [{"kind": "wal", "lineage": name, "until": end} for name, end in FOUND.until.items()]
    return shop.server()


def run(shop):
    """Restore the latest state without asking."""
    restore.restore(shop.server(), "", "", offsite=False, assume_yes=True)


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(1000, FULL.name), (1999, FULL.name), (2000, SECOND.name), (3000, SECOND.name), (4000, AFTERWARDS.name)],
)
def test_point_in_time(seconds, name):
    """`--to` uses the newest base backup before that time, of the lineage that was live then."""
    plan = restore.choose_plan(FOUND, datetime.fromtimestamp(seconds, UTC), "")
    assert (plan.backup.name, plan.target) == (
        name,
        f"1970-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000000+00",
    )


@pytest.mark.parametrize("seconds", [0, 999, 3500, 5002])
def test_unreachable_time(seconds):
    """A time outside the restorable spans is refused, with the available spans."""
    with pytest.raises(
        PreconditionError, match=r"(?s)No backup restores .*from 1970-01-01T00:16:40Z to 1970-01-01T00:50:00Z"
    ):
        restore.choose_plan(FOUND, datetime.fromtimestamp(seconds, UTC), "")


def test_latest():
    """Without a time, the plan is the newest base backup and all WAL after it."""
    plan = restore.choose_plan(FOUND, None, "")
    assert (plan.backup, plan.target) == (AFTERWARDS, "latest")


def test_latest_after_a_return_to_an_old_volume():
    """The lineage with the newest WAL is restored, even if another lineage has a newer backup."""
    plan = restore.choose_plan(Catalogue(FOUND.backups, {"7-1": 9000, "7-2": 5000}), None, "")
    assert plan.backup == SECOND


def test_history_entry_is_no_release(shop, server):
    """A restore in the history does not make the next deploy prune a bundle."""
    restore.restore(server, "", "", offsite=False, assume_yes=True)
    shop.deploy(shop.fetched("second"))
    assert (shop.active_release, len(list(shop.server().releases.iterdir()))) == ("second", 2)


def test_by_name():
    """A backup given by name is restored as it was taken."""
    plan = restore.choose_plan(FOUND, None, DUMP.name)
    assert (plan.backup.path, plan.target) == (f"dumps/{DUMP.name}", "immediate")


@pytest.mark.parametrize(("name", "message"), [("none", "There is no backup 'none'"), ("", "There is no base backup")])
def test_nothing_to_restore(name, message):
    """An unknown name, or the lack of a base backup, is refused with a remedy."""
    with pytest.raises(PreconditionError, match=message):
        restore.choose_plan(Catalogue([DUMP], {}), None, name)


@pytest.mark.parametrize("text", ["2026-11-25T10:00:00Z", "2026-11-25T11:00:00+01:00", "2026-11-25 10:00:00z"])
def test_parse_time(text):
    """A time with a zone is parsed."""
    assert restore.parse_time(text) == datetime(2026, 11, 25, 10, tzinfo=UTC)


@pytest.mark.parametrize(("text", "message"), [("2026-11-25T10:00:00", "has no time zone"), ("now", "is not a time")])
def test_invalid_time(text, message):
    """An invalid time is refused, with an example."""
    with pytest.raises(PreconditionError, match=message):
        restore.parse_time(text)


def test_cutover(shop, server):
    """All steps run on a new volume, which the cutover makes live; the old volume stays."""
    restore.restore(server, "", "", offsite=False, assume_yes=True)
    volume = shop.docker.database
    assert (shop.docker.filled, shop.docker.trials) == ({volume: STEPS}, set())
    assert shop.docker.volumes == {"shop_db", volume}
    assert f"DB_VOLUME={volume}" in (shop.folder / ".env").read_text(encoding="utf-8").splitlines()
    assert (shop.history[-1][0], shop.history[-1][2]) == ("restore", "ok")


def test_live_database_runs_until_the_cutover(shop, server):
    """The live database stops after every check of the new one, which is then backed up at once."""
    restore.restore(server, "", "", offsite=False, assume_yes=True)
    place = {
        text: next(i for i, done in enumerate(shop.docker.executed) if text in done)
        for text in (" check ", " stop ", " ready", " now")
    }
    assert place[" check "] < place[" ready"] < place[" stop "] < place[" now"]


@pytest.mark.parametrize("step", [*STEPS, " up --detach --no-deps --wait", "flask --app wsgi db check", " ready"])
def test_failed(shop, server, step):
    """A failure before the cutover leaves the live database running and nothing behind."""
    shop.docker.fail = failing(step)
    with pytest.raises(OpsError):
        restore.restore(server, "", "", offsite=False, assume_yes=True)
    assert (shop.docker.database, shop.docker.volumes, shop.docker.trials) == ("shop_db", {"shop_db"}, set())
    assert not any(" stop " in done for done in shop.docker.executed)


def test_failed_backup_afterwards(shop, server):
    """A failed backup of the new database is an error: it serves, but unprotected."""
    shop.docker.fail = failing("schedule.sh now")
    with pytest.raises(OpsError, match="serves, but there is NO BACKUP OF IT"):
        restore.restore(server, "", "", offsite=False, assume_yes=True)
    assert shop.docker.database != "shop_db"


def test_no_terminal(shop, server, monkeypatch):
    """Without a terminal and without --yes nothing starts."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(PreconditionError, match="pass --yes"):
        restore.restore(server, "", "", offsite=False, assume_yes=False)
    assert shop.docker.executed == []


@pytest.mark.parametrize(("answer", "replaced"), [("shop", True), ("yes", False), ("", False)])
def test_confirmation(shop, server, monkeypatch, answer, replaced):
    """Only the project's name confirms the cutover; any other answer changes nothing."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if replaced:
        restore.restore(server, "", "", offsite=False, assume_yes=False)
    else:
        with pytest.raises(PreconditionError, match="Nothing was replaced"):
            restore.restore(server, "", "", offsite=False, assume_yes=False)
    assert (shop.docker.database != "shop_db") == replaced
    assert (len(shop.docker.volumes) == 2) == replaced


def killings(shop_maker, hook):
    """Kill a restore before or after each of its commands in turn; yield each server."""
    for place in range(60):
        shop = shop_maker(f"shop-{place}")
        shop.docker.backups = [vars(FULL), {"kind": "wal", "lineage": "7-1", "until": 3000}]
        setattr(shop.docker, hook, KillAt(place))
        try:
            run(shop)
        except Killed:
            setattr(shop.docker, hook, lambda _argv: None)
            yield shop
        else:
            return


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_killed(make_shop, hook):
    """After a kill at any command, the next command runs the database on the volume in .env."""
    for shop in killings(make_shop, hook):
        shop.recover()
        assert shop.docker.database == database.volume(shop.server())
        assert not shop.server().restore_file.exists()
        assert [entry[2] for entry in shop.history if entry[0] == "restore"] in ([], ["ok"], ["interrupted"])


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_restore_after_a_kill(make_shop, hook):
    """After a kill at any command, the next restore works and removes the volume of the killed one."""
    for shop in killings(make_shop, hook):
        run(shop)
        restored = [entry for entry in shop.history if entry[::2] == ("restore", "ok")]
        assert shop.docker.database == database.volume(shop.server()) != "shop_db"
        assert len(shop.docker.volumes) == 1 + len(restored)
        assert shop.docker.trials == set()
