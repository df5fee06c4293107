"""The SQLAlchemy engine: how connections are opened and reused, with a timeout on every wait."""

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
from app.db.sql_comments import CommentingCursor

READ_OPTIONS = {"single_reads": True}  # execution option of an engine whose statements each run without a transaction
CLIENT_GRACE_S = 0.25  # the client waits this much longer, because the server's error message is better
PING_AFTER_IDLE_S = 1.0  # ping a connection that was idle for longer before using it
PING_TIMEOUT_S = CLIENT_GRACE_S  # so that a ping plus a new connection take no longer than a statement may
PUNCTUATION_TO_SPACES = str.maketrans(dict.fromkeys(string.punctuation, " "))


def engine_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return create_engine's options: one pooled connection for each thread, and a timeout on every wait."""
    timeout = config["DB_TIMEOUT"]
    if config["SQLALCHEMY_DATABASE_URI"].get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": timeout}}
    return {
        "poolclass": MeasuredPool,
        "pool_size": config["DB_POOL_SIZE"],
        "max_overflow": 0,  # a request uses one connection at a time, so one for each thread is enough
        "pool_timeout": timeout,
        "use_native_hstore": False,  # detecting that type would cost each new connection three round trips
        "connect_args": {
            "connection_factory": connection_class(timeout),
            "cursor_factory": CommentingCursor,
            "application_name": "web",
            "options": f"-c timezone=UTC -c statement_timeout={timeout * 1000:.0f}"
            f" -c idle_in_transaction_session_timeout={timeout * 2000:.0f}",
        },
    }


def add_listeners(engine: Engine) -> None:
    """Register what runs when a connection is opened, checked out, checked in, and begins a transaction."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "checkout", _ping_if_idle)
        event.listen(engine, "checkin", _record_last_use)


class ResponseTimeoutError(psycopg2.OperationalError):  # type: ignore[misc]  # psycopg2 has no annotations
    """An established connection got no response within the statement timeout plus the client's grace."""


def connection_class(timeout: float) -> type[extensions.connection]:
    """Return a connection class: connecting times out after TIMEOUT seconds, a statement slightly later.

    The server enforces statement_timeout. A server that is frozen or unreachable enforces nothing, and its kernel still
    acknowledges packets, so TCP timeouts do not fire either: only a client-side timeout does.
    """

    class TimeoutConnection(extensions.connection):  # type: ignore[misc]
        is_established = False
        response_timeout = timeout

    return TimeoutConnection


def _wait_for_server(connection: extensions.connection) -> None:
    """Wait for a libpq operation to end; psycopg2's documented hook for cooperative waiting.

    Each response restarts the timeout: connecting takes several of them, and the time that this process needs in
    between is not the server's fault. https://www.psycopg.org/docs/advanced.html#support-for-coroutine-libraries
    """
    timeout = getattr(connection, "response_timeout", None)
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not poller.poll(timeout and timeout * 1000):
            # psycopg2 closes the connection. It holds the connection's lock here: calling close() would deadlock.
            kind = ResponseTimeoutError if getattr(connection, "is_established", False) else psycopg2.OperationalError
            raise kind(f"no response from the server within {timeout} s")


extensions.set_wait_callback(_wait_for_server)


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Replace a connection that a server restart has closed, before a request uses it.

    pool_pre_ping would cost every request a round trip; a server does not restart within PING_AFTER_IDLE_S.
    """
    if time.monotonic() - record.info.get("last_use", 0.0) < PING_AFTER_IDLE_S:
        return
    usual, connection.response_timeout = connection.response_timeout, PING_TIMEOUT_S
    try:
        connection.autocommit = True
        connection.cursor().execute("SELECT 1")
        connection.autocommit = False
    except psycopg2.Error as error:
        raise InvalidatePoolError from error
    connection.response_timeout = usual


def _on_connect(connection: Any, record: ConnectionPoolEntry) -> None:
    connection.is_established = True
    connection.response_timeout += CLIENT_GRACE_S
    _record_last_use(connection, record)


def _record_last_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["last_use"] = time.monotonic()


def _configure_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Let reads run concurrently with a write, and enforce foreign keys, as Postgres does by default."""
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("search_text", 1, _search_text, deterministic=True)


def _search_text(text: str) -> str:
    """Return the text as the word filter compares it: case-folded, with spaces for punctuation."""
    return text.translate(PUNCTUATION_TO_SPACES).casefold()


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock immediately: a transaction that reads first and writes later might never get it."""
    if not connection.get_execution_options().get("single_reads"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
