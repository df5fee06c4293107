"""How long a migration may keep others waiting, judged from its session before and after a statement."""

import pytest

from deploy.migration_check.locks import State, Table
from deploy.migration_check.waiting import judge

CLOSED = Table(modes=frozenset({"AccessExclusiveLock"}))
FREE = State({"makers": Table()})


@pytest.mark.parametrize(
    ("now", "bad"),
    [
        (CLOSED, False),
        (CLOSED._replace(scans=1), True),
        (CLOSED._replace(modes=CLOSED.modes | {"RowExclusiveLock"}), True),
        (CLOSED._replace(modes=CLOSED.modes | {"RowExclusiveLock"}, inserted=1), False),
        (Table(scans=1, modes=frozenset({"RowExclusiveLock"})), False),
        (Table(scans=1, modes=frozenset({"ShareUpdateExclusiveLock"})), False),
        (Table(scans=1, modes=frozenset({"ShareRowExclusiveLock"})), True),
    ],
    ids=str,
)
def test_rows_under_a_lock(now, bad):
    """Rows are not looked for, nor changed, under a lock for which others wait; a row that is given is no work."""
    before = State({"makers": now._replace(scans=0, inserted=0, modes=now.modes - {"RowExclusiveLock"})})
    assert bool(judge("ANY", before, State({"makers": now}))) == bad


def test_a_table_with_its_parts():
    """One statement may lock many tables, as one for a partitioned table does; a second may lock no other."""
    both = State({"makers": CLOSED, "parts": CLOSED})
    assert judge("ANY", State({"makers": Table(), "parts": Table()}), both) == []
    (problem,) = judge("ANY", State({"makers": CLOSED, "parts": Table()}), both)
    assert problem.startswith("table parts is locked in a transaction in which nobody can read makers")


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
    """DELETE has a WHERE where its table is an old one."""
    assert bool(judge(statement, FREE, FREE)) == bad


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("ALTER TABLE IF EXISTS makers ADD COLUMN colour text", True),
        ("ALTER TABLE makers\nVALIDATE CONSTRAINT positive", False),
        ("ALTER TABLE other ADD COLUMN colour text", False),
        ("CREATE INDEX CONCURRENTLY ix ON makers (name)", False),
    ],
)
def test_patience(statement, bad):
    """A longer wait for a lock is only for what others do not wait for, also where the lock can no longer be seen."""
    patient = FREE._replace(patient=True)
    assert bool(judge(statement, patient, patient)) == bad
    assert judge(statement, FREE, FREE) == []
