"""Find statements that block the users of existing tables; each problem is one sentence or two."""

import re
from collections.abc import Iterable, Iterator

from .locks import Session

AUTOCOMMIT = "`with op.get_context().autocommit_block():`"
NAME = r'(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?((?:"?\w+"?\.)?"?\w+"?)'
LOCK_TABLE = re.compile(r"^\s*LOCK\b|\bLOCK\s+TABLE\b", re.IGNORECASE)
ALTER_TABLE = re.compile(rf"\bALTER\s+TABLE\s+{NAME}(?!.*\bVALIDATE\s+CONSTRAINT\b)", re.IGNORECASE | re.DOTALL)
# The body of a function or trigger does not run yet.
DELETE_ALL = re.compile(rf"\A(?!\s*CREATE\b).*?\bDELETE\s+FROM\s+{NAME}(?!.*\bWHERE\b)", re.IGNORECASE | re.DOTALL)


def find_blocking(statement: str, before: Session, after: Session) -> list[str]:
    """Return the problems of a STATEMENT, given the session BEFORE and AFTER it; both list only existing tables."""
    return [
        *_index(before, after),
        *_rows(before, after),
        *_second_lock(before, after),
        *_explicit_lock(statement, before, after),
        *_raised_lock_timeout(statement, before, after),
        *_delete_all(statement, after),
    ]


def _newly_locked(before: Session, after: Session) -> list[str]:
    return sorted(
        name for name, table in after.tables.items() if table.blocks_writes and not before.table(name).blocks_writes
    )


def _indexed(before: Session, after: Session) -> list[str]:
    """Return the tables on which the statement took the lock of CREATE INDEX without CONCURRENTLY."""
    return sorted(name for name, table in after.tables.items() if "ShareLock" in table.modes - before.table(name).modes)


def _index(before: Session, after: Session) -> Iterator[str]:
    for table in _indexed(before, after):
        yield (
            f"table {table}: an index is built, or the like, with a lock that blocks all writers. Use {AUTOCOMMIT} and "
            "`op.create_index(…, postgresql_concurrently=True)`."
        )


def _rows(before: Session, after: Session) -> Iterator[str]:
    locked = sorted(name for name, table in after.tables.items() if table.blocks_writes)
    accessed = sorted(name for name in after.tables if _accesses_rows(name, before, after))
    if locked and accessed and not _indexed(before, after):
        users = "readers and writers" if any(after.table(name).blocks_reads for name in locked) else "writers"
        yield (
            f"rows of {_list(accessed)} are read or changed in a transaction that has locked {_list(locked)}, so "
            f"{users} wait until it ends. Change rows in batches, in a separate migration; add a constraint NOT VALID, "
            f"and VALIDATE it in a later migration, in {AUTOCOMMIT}."
        )


def _accesses_rows(name: str, before: Session, after: Session) -> bool:
    """Whether the statement scanned an existing table: Postgres counts that even if the table is empty.

    If a join ends before it reaches the table, the lock of a writer that inserted nothing shows it.
    """
    old, new = before.table(name), after.table(name)
    writes = "RowExclusiveLock" in new.modes - old.modes and new.inserted == old.inserted
    return new.scans > old.scans or writes


def _second_lock(before: Session, after: Session) -> Iterator[str]:
    held = sorted(name for name, table in before.tables.items() if table.blocks_reads)
    taken = _newly_locked(before, after)
    if held and taken:
        yield (
            f"table {_list(taken)} is locked while the transaction already blocks readers of {_list(held)}, so users "
            "wait for two locks in a row. Lock one table in each migration."
        )


def _explicit_lock(statement: str, before: Session, after: Session) -> Iterator[str]:
    taken = _newly_locked(before, after)
    if taken and LOCK_TABLE.search(statement):
        yield (
            f"table {_list(taken)} is locked by LOCK TABLE until the transaction ends. Remove it: each statement takes "
            "the lock that it needs."
        )


def _raised_lock_timeout(statement: str, before: Session, after: Session) -> Iterator[str]:
    # After a statement in an autocommit block its locks are gone, so only its text can tell.
    taken = _newly_locked(before, after) or _named_tables(ALTER_TABLE, statement, after)
    if taken and (before.raised_lock_timeout or after.raised_lock_timeout):
        yield (
            f"table {_list(taken)} is locked after `SET lock_timeout` to more than the default, and all readers queue "
            "behind the waiting statement. Raise the timeout only for CONCURRENTLY and VALIDATE."
        )


def _delete_all(statement: str, after: Session) -> Iterator[str]:
    for table in _named_tables(DELETE_ALL, statement, after):
        yield (
            f"table {table} is emptied by DELETE without WHERE, but the old release still uses its rows. Deploy a "
            "release that does not, then delete them in a migration with `contract = True`."
        )


def _named_tables(pattern: re.Pattern[str], statement: str, after: Session) -> list[str]:
    """Return the existing tables that the pattern's group captures in the statement."""
    found = {name.replace('"', "").removeprefix("public.") for name in pattern.findall(statement)}
    return sorted(found & after.tables.keys())


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
