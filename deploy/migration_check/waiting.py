"""What a statement may not do to users who use the tables meanwhile: each problem is a sentence."""

import re
from collections.abc import Iterable, Iterator

from .locks import State

AUTOCOMMIT = "`with op.get_context().autocommit_block():`"
NAME = r'(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?((?:"?\w+"?\.)?"?\w+"?)'
EXPLICIT_LOCK = re.compile(r"^\s*LOCK\b|\bLOCK\s+TABLE\b", re.IGNORECASE)
ALTERED = re.compile(rf"\bALTER\s+TABLE\s+{NAME}(?!.*\bVALIDATE\s+CONSTRAINT\b)", re.IGNORECASE | re.DOTALL)
# What stands in a function or a trigger is not run yet.
EMPTIED = re.compile(rf"\A(?!\s*CREATE\b).*?\bDELETE\s+FROM\s+{NAME}(?!.*\bWHERE\b)", re.IGNORECASE | re.DOTALL)


def judge(statement: str, before: State, after: State) -> list[str]:
    """Return what is wrong with a STATEMENT, by the session BEFORE and AFTER it; both know the old tables alone."""
    return [
        *_index(before, after),
        *_rows(before, after),
        *_second(before, after),
        *_explicit(statement, before, after),
        *_patient(statement, before, after),
        *_emptied(statement, after),
    ]


def _taken(before: State, after: State) -> list[str]:
    """Return the tables that the statement locked in a way that keeps others waiting."""
    return sorted(name for name, table in after.tables.items() if table.locked and not before.of(name).locked)


def _indexed(before: State, after: State) -> list[str]:
    """Return the tables on which it took the lock of CREATE INDEX without CONCURRENTLY."""
    return sorted(name for name, table in after.tables.items() if "ShareLock" in table.modes - before.of(name).modes)


def _index(before: State, after: State) -> Iterator[str]:
    for table in _indexed(before, after):
        yield (
            f"table {table}: an index was built, or the like, with a lock that keeps every writer waiting. Use "
            f"{AUTOCOMMIT} and in it `op.create_index(…, postgresql_concurrently=True)`."
        )


def _rows(before: State, after: State) -> Iterator[str]:
    locked = sorted(name for name, table in after.tables.items() if table.locked)
    touched = sorted(name for name in after.tables if _touched(name, before, after))
    if locked and touched and not _indexed(before, after):
        who = "everybody" if any(after.of(name).closed for name in locked) else "every writer"
        yield (
            f"rows of {_list(touched)} are read or changed in a transaction that has locked {_list(locked)}, and {who} "
            "waits for its end. Give the rows a migration of their own, by `app.backfill.in_batches`; add a constraint "
            f"NOT VALID, and VALIDATE it in a later migration, in {AUTOCOMMIT}."
        )


def _touched(name: str, before: State, after: State) -> bool:
    """Whether rows of a table that was there were looked for: Postgres counts that even where there is none.

    Where a join ended before it came to the table, there is still the lock of a writer who inserted nothing.
    """
    old, new = before.of(name), after.of(name)
    writes = "RowExclusiveLock" in new.modes - old.modes and new.inserted == old.inserted
    return new.scans > old.scans or writes


def _second(before: State, after: State) -> Iterator[str]:
    closed = sorted(name for name, table in before.tables.items() if table.closed)
    taken = _taken(before, after)
    if closed and taken:
        yield (
            f"table {_list(taken)} is locked in a transaction in which nobody can read {_list(closed)} any more, so "
            "users wait for two locks, one after the other. Lock one table in a migration."
        )


def _explicit(statement: str, before: State, after: State) -> Iterator[str]:
    taken = _taken(before, after)
    if taken and EXPLICIT_LOCK.search(statement):
        yield (
            f"table {_list(taken)} is locked by LOCK TABLE, and users wait for the transaction's end. Leave it out: "
            "each statement takes the lock that it needs."
        )


def _patient(statement: str, before: State, after: State) -> Iterator[str]:
    # In an autocommit block the locks are gone when the statement has ended, so there its text has to do.
    taken = _taken(before, after) or _named(ALTERED, statement, after)
    if taken and (before.patient or after.patient):
        yield (
            f"table {_list(taken)} is locked after a `SET lock_timeout` to more than usual, and every reader queues "
            "behind a lock that is waited for. Leave the limit as it is for everything but CONCURRENTLY and VALIDATE."
        )


def _emptied(statement: str, after: State) -> Iterator[str]:
    for table in _named(EMPTIED, statement, after):
        yield (
            f"table {table} is emptied by DELETE without WHERE, and the old release still uses its rows. Deploy a "
            "release that does without them, and delete them in a migration with `contract = True`."
        )


def _named(pattern: re.Pattern[str], statement: str, after: State) -> list[str]:
    """Return the old tables that stand in a statement where the pattern has its group."""
    found = {name.replace('"', "").removeprefix("public.") for name in pattern.findall(statement)}
    return sorted(found & after.tables.keys())


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
