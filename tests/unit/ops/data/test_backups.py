"""Tests of the backup catalogue and of the status of the jobs."""

import time

import pytest

from ops.data import backups
from ops.data.backups import Backup, Catalogue

FULL = Backup("full", "20261101T020000Z-full", "7-1", 900, 1000, 40, "")


def set_status(shop, job, **status):
    """Write a status file, as deploy/backup/status.sh does."""
    shop.server().backup_states.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in status.items())
    (shop.server().backup_states / job).write_text(text, encoding="utf-8")


def test_on_time(shop):
    """A job that succeeded in time is not late; its line has the name of the backup."""
    now = int(time.time())
    set_status(shop, "base", checked=now, succeeded=now, name="20261101T020000Z-full", seconds=7)
    assert backups.job_statuses(shop.server())["base"]["late"] is False
    assert "20261101T020000Z-full in 7 s" in backups.format_jobs(backups.job_statuses(shop.server()))


@pytest.mark.parametrize("job", ["wal", "base", "dump", "drill"])
def test_late(shop, job):
    """A job whose last success is too old is late."""
    set_status(shop, job, checked=1, succeeded=int(time.time()) - backups.MAX_AGE[job] - 5)
    found = backups.job_statuses(shop.server())
    assert found[job]["late"]
    assert "LATE" in backups.format_jobs({job: found[job]})


def test_never_run(shop):
    """A job that has never succeeded is late, except the drill, which first runs on a Sunday."""
    assert {job: status["late"] for job, status in backups.job_statuses(shop.server()).items()} == {
        "wal": True,
        "base": True,
        "dump": True,
        "drill": False,
    }


def test_failing(shop):
    """The line of a failing job has the time, the reason and the last backup."""
    set_status(shop, "dump", checked=9, error="the disk is full: a=b", failing_since=0, succeeded=5, name="old")
    text = backups.format_jobs(backups.job_statuses(shop.server()))
    assert "old" in text
    assert "FAILING since 1970-01-01T00:00:00Z: the disk is full: a=b" in text


def test_truncated_status(shop):
    """A truncated value is ignored."""
    set_status(shop, "dump", succeeded="")
    assert backups.job_statuses(shop.server())["dump"]["late"]


def test_spans():
    """A restorable span starts at the end of the first base backup and ends with the received WAL."""
    assert backups.spans_of(Catalogue([FULL], {"7-1": 3000, "7-2": 5000})) == [(1000, 3000)]


def test_format_catalogue(shop):
    """The list has each backup and each restorable span."""
    text = backups.format_catalogue(Catalogue([FULL], {"7-1": 3000}), backups.job_statuses(shop.server()))
    assert "20261101T020000Z-full" in text
    assert "any second from 1970-01-01T00:16:40Z to 1970-01-01T00:50:00Z" in text


def test_no_backups(shop):
    """An empty catalogue is reported."""
    assert "none yet" in backups.format_catalogue(Catalogue([], {}), backups.job_statuses(shop.server()))


def test_catalogue(shop):
    """The output of deploy/backup/list.sh is parsed and sorted by end time."""
    later = {**vars(FULL), "name": "later", "ended": 1500}
    shop.docker.backups = [later, vars(FULL), {"kind": "wal", "lineage": "7-1", "until": 3000, "megabytes": 16}]
    found = backups.read_catalogue(shop.server())
    assert ([each.name for each in found.backups], found.until) == ([FULL.name, "later"], {"7-1": 3000})


def test_catalogue_of_an_offsite_copy(shop):
    """The catalogue of a fetched copy omits newer backups of this machine."""
    dump = {**vars(FULL), "kind": "dump", "name": "mine", "lineage": "dumps"}
    shop.docker.backups = [vars(FULL), {**vars(FULL), "name": "newer", "lineage": "8-1", "ended": 2000}, dump]
    assert [each.name for each in backups.read_catalogue(shop.server(), only={"7-1", "dumps/theirs"}).backups] == [
        FULL.name
    ]
