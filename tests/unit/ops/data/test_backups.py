"""What there is to restore from, and how it is said that a job fails or is late."""

import time

import pytest

from ops.data import backups
from ops.data.backups import Backup, Catalogue

FULL = Backup("full", "20261101T020000Z-full", "7-1", 900, 1000, 40, "")


def put(shop, job, **state):
    """Write down how a job went, as deploy/backup/lib.sh does."""
    shop.server().backup_states.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in state.items())
    (shop.server().backup_states / job).write_text(text, encoding="utf-8")


def test_well(shop):
    """A job that has succeeded in time is not late, and says what it made."""
    now = int(time.time())
    put(shop, "base", checked=now, succeeded=now, name="20261101T020000Z-full", seconds=7)
    assert backups.look(shop.server())["base"]["late"] is False
    assert "20261101T020000Z-full in 7 s" in backups.text(backups.look(shop.server()))


@pytest.mark.parametrize("job", ["wal", "base", "dump", "drill"])
def test_late(shop, job):
    """A job that has not succeeded for longer than it may take to come round is late, in capitals."""
    put(shop, job, checked=1, succeeded=int(time.time()) - backups.JOBS[job] - 5)
    found = backups.look(shop.server())
    assert found[job]["late"]
    assert "IT IS LATE" in backups.text({job: found[job]})


def test_never(shop):
    """A job that has never succeeded is late, but for the drill: the first one comes on a Sunday."""
    assert {job: state["late"] for job, state in backups.look(shop.server()).items()} == {
        "wal": True,
        "base": True,
        "dump": True,
        "drill": False,
    }


def test_failing(shop):
    """A job that fails says since when and why, though it succeeded before, and what it made then."""
    put(shop, "dump", checked=9, error="the disk is full: a=b", failing_since=0, succeeded=5, name="old")
    text = backups.text(backups.look(shop.server()))
    assert "old" in text
    assert "IT FAILS since 1970-01-01T00:00:00Z: the disk is full: a=b" in text


def test_half_a_line(shop):
    """What a full disk has cut short is passed over."""
    put(shop, "dump", succeeded="")
    assert backups.look(shop.server())["dump"]["late"]


def test_reach():
    """What can be reached begins when the first base backup had ended, and goes on for as long as WAL was received."""
    assert backups.reach(Catalogue([FULL], {"7-1": 3000, "7-2": 5000})) == [(1000, 3000)]


def test_listed(shop):
    """A person sees each backup, and from when to when any second can be had."""
    text = backups.listed(Catalogue([FULL], {"7-1": 3000}), backups.look(shop.server()))
    assert "20261101T020000Z-full" in text
    assert "any second from 1970-01-01T00:16:40Z to 1970-01-01T00:50:00Z" in text


def test_nothing_yet(shop):
    """Where there is none, that is said."""
    assert "none yet" in backups.listed(Catalogue([], {}), backups.look(shop.server()))


def test_catalogue(shop):
    """What deploy/backup/list.sh prints is read; backups are in the order in which they ended."""
    later = {**vars(FULL), "name": "later", "ended": 1500, "first": "0/1"}
    shop.docker.backups = [later, vars(FULL), {"kind": "wal", "lineage": "7-1", "until": 3000, "megabytes": 16}]
    found = backups.catalogue(shop.server())
    assert ([each.name for each in found.backups], found.until) == ([FULL.name, "later"], {"7-1": 3000})


def test_catalogue_of_a_copy(shop):
    """What was brought back from elsewhere is looked at alone, though there are newer backups of this machine's own."""
    dump = {**vars(FULL), "kind": "dump", "name": "mine", "lineage": "dumps"}
    shop.docker.backups = [vars(FULL), {**vars(FULL), "name": "newer", "lineage": "8-1", "ended": 2000}, dump]
    assert [each.name for each in backups.catalogue(shop.server(), only={"7-1", "dumps/theirs"}).backups] == [FULL.name]
