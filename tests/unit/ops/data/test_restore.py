"""`restore`: what it chooses, and that the live database is left alone until what was restored is seen to be well."""

import sys
from datetime import UTC, datetime

import pytest

from ops.data import database, restore
from ops.data.backups import Backup, Catalogue
from ops.errors import OpsError, PreconditionError
from tests.support.ops.faults import Killed, failing
from tests.unit.ops.release.test_killed import Death

FULL = Backup("full", "20261101T020000Z-full", "7-1", 900, 1000, 40, "")
SECOND = Backup("incremental", "20261102T020000Z-incremental", "7-1", 1900, 2000, 4, FULL.name)
DUMP = Backup("dump", "20261102T030000Z-dump", "dumps", 2100, 2200, 4, "")
AFTERWARDS = Backup("full", "20261103T020000Z-full", "7-2", 3900, 4000, 40, "")
FOUND = Catalogue([FULL, SECOND, DUMP, AFTERWARDS], {"7-1": 3000, "7-2": 5000})
STEPS = ["verify", "lay-out", "recover", "check"]


@pytest.fixture
def server(shop):
    """A server on which a release serves, with backups."""
    known = [{**vars(each)} for each in FOUND.backups]
    shop.docker.backups = known + [{"kind": "wal", "lineage": name, "until": end} for name, end in FOUND.until.items()]
    return shop.server()


def run(shop):
    """Restore everything, agreed to beforehand."""
    restore.restore(shop.server(), "", "", offsite=False, agreed=True)


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(1000, FULL.name), (1999, FULL.name), (2000, SECOND.name), (3000, SECOND.name), (4000, AFTERWARDS.name)],
)
def test_a_time(seconds, name):
    """The newest base backup that had ended by then is taken, of the database that served then."""
    plan = restore.choose(FOUND, datetime.fromtimestamp(seconds, UTC), "")
    assert (plan.backup.name, plan.target) == (
        name,
        f"1970-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000000+00",
    )


@pytest.mark.parametrize("seconds", [0, 999, 3500, 5002])
def test_a_time_that_nothing_leads_to(seconds):
    """Before the first backup, between two databases and in the future nothing can be restored; what can be is said."""
    with pytest.raises(
        PreconditionError, match=r"(?s)Nothing leads to .*from 1970-01-01T00:16:40Z to 1970-01-01T00:50:00Z"
    ):
        restore.choose(FOUND, datetime.fromtimestamp(seconds, UTC), "")


def test_the_last_moment():
    """Without a time it is the newest base backup and all that was received after it."""
    plan = restore.choose(FOUND, None, "")
    assert (plan.backup, plan.target) == (AFTERWARDS, "latest")


def test_the_last_moment_of_an_old_volume():
    """Where somebody went back to an older database, its WAL is the newest, though the other one's backup is."""
    plan = restore.choose(Catalogue(FOUND.backups, {"7-1": 9000, "7-2": 5000}), None, "")
    assert plan.backup == SECOND


def test_what_a_restore_wrote_down_is_no_release(shop, server):
    """The next deploy takes away no bundle because of it."""
    restore.restore(server, "", "", offsite=False, agreed=True)
    shop.deploy(shop.fetched("second"))
    assert (shop.users_meet, len(list(shop.server().releases.iterdir()))) == ("second", 2)


def test_a_name():
    """A backup that is named is restored as it was made."""
    plan = restore.choose(FOUND, None, DUMP.name)
    assert (plan.backup.what, plan.target) == (f"dumps/{DUMP.name}", "immediate")


@pytest.mark.parametrize(("name", "says"), [("none", "There is no backup 'none'"), ("", "There is no base backup")])
def test_nothing_to_restore(name, says):
    """A name that is not known, or no base backup at all, is refused with what to do."""
    with pytest.raises(PreconditionError, match=says):
        restore.choose(Catalogue([DUMP], {}), None, name)


@pytest.mark.parametrize("text", ["2026-11-25T10:00:00Z", "2026-11-25T11:00:00+01:00", "2026-11-25 10:00:00z"])
def test_moments(text):
    """A time is given with its zone."""
    assert restore.parse(text) == datetime(2026, 11, 25, 10, tzinfo=UTC)


@pytest.mark.parametrize(("text", "says"), [("2026-11-25T10:00:00", "has no time zone"), ("now", "is no time")])
def test_no_moments(text, says):
    """Another text is refused, with an example of a right one."""
    with pytest.raises(PreconditionError, match=says):
        restore.parse(text)


def test_restored(shop, server):
    """All steps are done on a volume of its own, which then is the database's; what it replaced is kept."""
    restore.restore(server, "", "", offsite=False, agreed=True)
    volume = shop.docker.database
    assert (shop.docker.filled, shop.docker.trials) == ({volume: STEPS}, set())
    assert shop.docker.volumes == {"shop_db", volume}
    assert f"DB_VOLUME={volume}" in (shop.folder / ".env").read_text(encoding="utf-8").splitlines()
    assert (shop.history[-1][0], shop.history[-1][2]) == ("restore", "ok")


def test_the_live_database_runs_until_it_is_replaced(shop, server):
    """It is stopped after all that is to be seen of the other one was seen, and the new one is backed up at once."""
    restore.restore(server, "", "", offsite=False, agreed=True)
    place = {
        text: next(i for i, done in enumerate(shop.docker.done) if text in done)
        for text in (" check ", " stop ", " ready", " now")
    }
    assert place[" check "] < place[" ready"] < place[" stop "] < place[" now"]


@pytest.mark.parametrize("step", [*STEPS, " up --detach --no-deps --wait", "flask --app wsgi db check", " ready"])
def test_failed(shop, server, step):
    """Whatever fails before it is replaced, the live database goes on, and nothing is left behind."""
    shop.docker.fail = failing(step)
    with pytest.raises(OpsError):
        restore.restore(server, "", "", offsite=False, agreed=True)
    assert (shop.docker.database, shop.docker.volumes, shop.docker.trials) == ("shop_db", {"shop_db"}, set())
    assert not any(" stop " in done for done in shop.docker.done)


def test_without_a_backup_afterwards(shop, server):
    """Where no backup could be made of what was restored, that is said in capitals: it serves, but unprotected."""
    shop.docker.fail = failing("care.sh now")
    with pytest.raises(OpsError, match="restored and serves, but THERE IS NO BACKUP_COMMAND OF IT YET"):
        restore.restore(server, "", "", offsite=False, agreed=True)
    assert shop.docker.database != "shop_db"


def test_nobody_to_ask(shop, server, monkeypatch):
    """Without a terminal and without a word beforehand nothing is begun."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(PreconditionError, match="Give --yes"):
        restore.restore(server, "", "", offsite=False, agreed=False)
    assert shop.docker.done == []


@pytest.mark.parametrize(("answer", "replaced"), [("shop", True), ("yes", False), ("", False)])
def test_asked(shop, server, monkeypatch, answer, replaced):
    """A person types the project's name to replace it; with anything else all stays as it was."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if replaced:
        restore.restore(server, "", "", offsite=False, agreed=False)
    else:
        with pytest.raises(PreconditionError, match="Nothing was replaced"):
            restore.restore(server, "", "", offsite=False, agreed=False)
    assert (shop.docker.database != "shop_db") == replaced
    assert (len(shop.docker.volumes) == 2) == replaced


def killings(shop_maker, hook):
    """Kill a restore before or after each of its commands in turn, and give each server that was left."""
    for place in range(60):
        shop = shop_maker(f"shop-{place}")
        shop.docker.backups = [vars(FULL), {"kind": "wal", "lineage": "7-1", "until": 3000}]
        setattr(shop.docker, hook, Death(place))
        try:
            run(shop)
        except Killed:
            setattr(shop.docker, hook, lambda _words: None)
            yield shop
        else:
            return


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_killed(make_shop, hook):
    """Killed at any command, the next one of any kind lets the database run on the volume that .env names."""
    for shop in killings(make_shop, hook):
        shop.mend()
        assert shop.docker.database == database.volume(shop.server())
        assert not shop.server().restore_file.exists()
        assert [entry[2] for entry in shop.history if entry[0] == "restore"] in ([], ["ok"], ["interrupted"])


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_the_next_restore(make_shop, hook):
    """Killed at any command, the next restore works, and what the killed one had filled is taken away."""
    for shop in killings(make_shop, hook):
        run(shop)
        restored = [entry for entry in shop.history if entry[::2] == ("restore", "ok")]
        assert shop.docker.database == database.volume(shop.server()) != "shop_db"
        assert len(shop.docker.volumes) == 1 + len(restored)
        assert shop.docker.trials == set()
