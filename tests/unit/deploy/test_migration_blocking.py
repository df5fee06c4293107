"""Blocking statements are found by comparing the session before and after each statement."""

import pytest

from deploy.migration_check.blocking import find_blocking
from deploy.migration_check.locks import Session, Table

LOCKED = Table(modes=frozenset({"AccessExclusiveLock"}))
UNLOCKED = Session({"makers": Table()})


@pytest.mark.parametrize(
    ("now", "bad"),
    [
        (LOCKED, False),
        (LOCKED._replace(scans=1), True),
        (LOCKED._replace(modes=LOCKED.modes | {"RowExclusiveLock"}), True),
        (LOCKED._replace(modes=LOCKED.modes | {"RowExclusiveLock"}, inserted=1), False),
        (Table(scans=1, modes=frozenset({"RowExclusiveLock"})), False),
        (Table(scans=1, modes=frozenset({"ShareUpdateExclusiveLock"})), False),
        (Table(scans=1, modes=frozenset({"ShareRowExclusiveLock"})), True),
    ],
)
def test_rows_under_a_lock(now, bad):
    """Scanning or changing rows under a blocking lock is a problem; inserting given rows is not."""
    before = Session({"makers": now._replace(scans=0, inserted=0, modes=now.modes - {"RowExclusiveLock"})})
    assert bool(find_blocking("ANY", before, Session({"makers": now}))) == bad


def test_partitioned_table():
    """One statement may lock many tables, as for a partitioned table; a second statement must not lock another."""
    both = Session({"makers": LOCKED, "parts": LOCKED})
    assert find_blocking("ANY", Session({"makers": Table(), "parts": Table()}), both) == []
    (problem,) = find_blocking("ANY", Session({"makers": LOCKED, "parts": Table()}), both)
    assert problem.startswith("table parts is locked while the transaction already blocks readers of makers")


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("DELETE FROM makers", True),
        ('delete from only "public"."makers"', True),
        ("DELETE FROM other", False),
        ("DELETE FROM makers\nWHERE id = 1", False),
        ("DO $$ BEGIN DELETE FROM makers; END $$", True),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM makers'", False),
        ("DELETE FROM makers USING other WHERE makers.id = other.id", False),
    ],
)
def test_delete(statement, bad):
    """DELETE without WHERE is a problem on existing tables."""
    assert bool(find_blocking(statement, UNLOCKED, UNLOCKED)) == bad


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("ALTER TABLE IF EXISTS makers ADD COLUMN colour text", True),
        ("ALTER TABLE makers\nVALIDATE CONSTRAINT positive", False),
        ("ALTER TABLE other ADD COLUMN colour text", False),
        ("CREATE INDEX CONCURRENTLY ix ON makers (name)", False),
    ],
)
def test_raised_lock_timeout(statement, bad):
    """A raised lock timeout is a problem for statements that block others, even after the lock is released."""
    raised = UNLOCKED._replace(raised_lock_timeout=True)
    assert bool(find_blocking(statement, raised, raised)) == bad
    assert find_blocking(statement, UNLOCKED, UNLOCKED) == []
