"""The engine: how connections are made and kept, with a limit on every wait."""

import select
import string
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from app.db.pool_metrics import MeasuredPool
from app.db.sql_comments import MarkedCursor

READS = {"reads": True}  # the execution option of an engine whose statements stand alone, each committed by itself
CLIENT_GRACE = 0.25  # seconds a client waits beyond the server's own limit, for the server's better message
BLANKS = str.maketrans(dict.fromkeys(string.punctuation, " "))
IDLE = 1.0  # seconds; a connection unused for so long is asked whether it lives before it is used
PING_DEADLINE = CLIENT_GRACE  # so that a ping and a new connection take no longer than a statement may


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return create_engine's options: a pool as large as a worker has threads, and a limit on every wait."""
    timeout = config["DB_TIMEOUT"]
    if config["SQLALCHEMY_DATABASE_URI"].get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": timeout}}
    return {
        "poolclass": MeasuredPool,
        "pool_size": config["DB_POOL_SIZE"],
        "max_overflow": 0,  # a request holds one connection at a time, so one for each thread is all there can be
        "pool_timeout": timeout,
        "use_native_hstore": False,  # looking for that type would cost each new connection three round trips
        "connect_args": {
            "connection_factory": connection_class(timeout),
            "cursor_factory": MarkedCursor,
            "application_name": "web",
            "options": f"-c timezone=UTC -c statement_timeout={timeout * 1000:.0f}"
            f" -c idle_in_transaction_session_timeout={timeout * 2000:.0f}",
        },
    }


def prepare(engine: Engine) -> None:
    """Give the engine its habits: what happens when a connection is made, taken from the pool, and begins."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "connect", _connected)
        event.listen(engine, "checkout", _ping_if_idle)
        event.listen(engine, "checkin", _note_use)


class SilenceError(psycopg2.OperationalError):  # type: ignore[misc]  # psycopg2 has no annotations
    """A server that was there said nothing for as long as a statement may take, and a little longer."""


def connection_class(timeout: float) -> type[extensions.connection]:
    """Return a connection class whose connects fail after TIMEOUT seconds without an answer, statements a little later.

    statement_timeout is kept by the server. A server that is frozen or cut off keeps nothing, and its kernel goes on
    acknowledging packets, so TCP timeouts do not help either: only a clock on this side does.
    """

    class WatchedConnection(extensions.connection):  # type: ignore[misc]
        made = False
        wait_deadline = timeout

    return WatchedConnection


def _wait(connection: extensions.connection) -> None:
    """Wait for a libpq operation to end; psycopg2's documented hook for cooperative waiting.

    Only silence counts: making a connection takes several answers, and this process' own share of the work between
    them, which is no fault of the server's. https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries
    """
    allowed = getattr(connection, "wait_deadline", None)
    while (state := connection.poll()) != extensions.POLL_OK:
        watch = select.poll()
        watch.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not watch.poll(allowed and allowed * 1000):
            # psycopg2 closes the connection itself. It holds the connection's lock here: close() would wait for ever.
            kind = SilenceError if getattr(connection, "made", False) else psycopg2.OperationalError
            raise kind(f"no answer from the server within {allowed} s")


extensions.set_wait_callback(_wait)


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Replace a connection that a restart of the server has cut, before it is used.

    Asking each time, as pool_pre_ping does, would cost every request a round trip; a server does not restart within
    IDLE seconds.
    """
    if time.monotonic() - record.info.get("used", 0.0) < IDLE:
        return
    usual, connection.wait_deadline = connection.wait_deadline, PING_DEADLINE
    try:
        connection.autocommit = True
        connection.cursor().execute("SELECT 1")
        connection.autocommit = False
    except psycopg2.Error as error:
        raise InvalidatePoolError from error
    connection.wait_deadline = usual


def _connected(connection: Any, record: ConnectionPoolEntry) -> None:
    connection.made, connection.wait_deadline = True, connection.wait_deadline + CLIENT_GRACE
    _note_use(connection, record)


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _configure_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Let readers go on beside a writer, and keep foreign keys, as Postgres does without being asked."""
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("plain", 1, _plain, deterministic=True)


def _plain(text: str) -> str:
    """Return the text as the filter for words reads it: punctuation as blanks, no difference of case."""
    return text.translate(BLANKS).casefold()


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock at the start: a transaction that reads first and writes later could never get it."""
    if not connection.get_execution_options().get("reads"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
