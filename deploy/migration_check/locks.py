"""What a session has locked and done so far, read from Postgres before and after each statement of a migration."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

# These statistics are local to the session and not reported yet; within a transaction they only grow.
TABLES = """
    WITH held AS (
        SELECT relation, array_agg(mode) AS modes FROM pg_locks
        WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted GROUP BY 1
    ), used AS (
        SELECT indrelid AS oid, sum(pg_stat_get_xact_numscans(indexrelid)) AS scans FROM pg_index
        WHERE indrelid = ANY(%(oids)s) GROUP BY 1
    )
    SELECT c.oid::regclass::text, pg_stat_get_xact_numscans(c.oid) + coalesce(scans, 0),
           pg_stat_get_xact_tuples_inserted(c.oid), coalesce(modes, '{}')
    FROM pg_class c LEFT JOIN held ON relation = c.oid LEFT JOIN used ON used.oid = c.oid
    WHERE c.oid = ANY(%(oids)s)"""
LOCK_TIMEOUT = "SELECT setting::int, reset_val::int FROM pg_settings WHERE name = 'lock_timeout'"

BLOCKS_WRITES = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock"})
BLOCKS_ALL = "AccessExclusiveLock"


class Table(NamedTuple):
    """How often a table was scanned, how many rows were inserted, and the lock modes held on it."""

    scans: int = 0
    inserted: int = 0
    modes: frozenset[str] = frozenset()

    @property
    def blocks_reads(self) -> bool:
        """Whether no other session can read it."""
        return BLOCKS_ALL in self.modes

    @property
    def blocks_writes(self) -> bool:
        """Whether no other session can write to it."""
        return self.blocks_reads or bool(BLOCKS_WRITES & self.modes)


class Session(NamedTuple):
    """The tables by name, and whether the session's lock_timeout is longer than its default."""

    tables: Mapping[str, Table]
    raised_lock_timeout: bool = False

    def table(self, name: str) -> Table:
        """Return the state of a table, an empty one if the statement has just renamed it."""
        return self.tables.get(name, Table())


def read_session(connection: Connection, oids: Collection[int]) -> Session:
    """Read the state of a migration's session over its own connection."""
    cursor: Any = connection.connection.cursor()
    cursor.execute(TABLES, {"oids": list(oids)})
    tables = {name: Table(scans, inserted, frozenset(modes)) for name, scans, inserted, modes in cursor.fetchall()}
    cursor.execute(LOCK_TIMEOUT)
    now, default = cursor.fetchone()
    return Session(tables, raised_lock_timeout=default > 0 and not 0 < now <= default)
