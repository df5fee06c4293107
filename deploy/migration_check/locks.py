"""What a session holds and has done so far, read from Postgres around each statement of a migration."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

# The statistics are the session's own and unreported yet; within a transaction they only grow.
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
PATIENCE = "SELECT setting::int, reset_val::int FROM pg_settings WHERE name = 'lock_timeout'"

WRITERS_WAIT = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock"})
ALL_WAIT = "AccessExclusiveLock"


class Table(NamedTuple):
    """How often rows of a table were looked for and inserted, and the modes in which it is locked."""

    scans: int = 0
    inserted: int = 0
    modes: frozenset[str] = frozenset()

    @property
    def closed(self) -> bool:
        """Whether nobody else can read it."""
        return ALL_WAIT in self.modes

    @property
    def locked(self) -> bool:
        """Whether nobody else can write to it, or read it."""
        return self.closed or bool(WRITERS_WAIT & self.modes)


class State(NamedTuple):
    """A session at one moment: the tables, by name, and whether it waits longer for a lock than it was started with."""

    tables: Mapping[str, Table]
    patient: bool = False

    def of(self, name: str) -> Table:
        """Return what is known of a table, which may have got its name just now."""
        return self.tables.get(name, Table())


def read(connection: Connection, oids: Collection[int]) -> State:
    """Read the state of a migration's session, over its own connection."""
    cursor: Any = connection.connection.cursor()
    cursor.execute(TABLES, {"oids": list(oids)})
    tables = {name: Table(scans, inserted, frozenset(modes)) for name, scans, inserted, modes in cursor.fetchall()}
    cursor.execute(PATIENCE)
    now, limit = cursor.fetchone()
    return State(tables, patient=limit > 0 and not 0 < now <= limit)
