"""The engine sets a timeout on every wait, and a pool with one connection for each thread."""

import os
import time
from types import SimpleNamespace

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy.exc import InvalidatePoolError

from app.db import engine
from config import load


class FrozenConnection:
    """A connection to a frozen server: it always waits to read, and nothing arrives."""

    response_timeout = 0.02

    def __init__(self, pipe, *, is_established=True):
        self.pipe, self.is_established = pipe, is_established

    def poll(self):
        """Ask to wait for input."""
        return extensions.POLL_READ

    def fileno(self):
        """Return a descriptor that never becomes readable."""
        return self.pipe

    def close(self):
        """Deadlock on the lock that psycopg2 holds during the callback."""
        raise AssertionError("would deadlock")


class ClosedConnection:
    """A connection that the server has closed; it counts the pings."""

    response_timeout, pings = 2.5, 0

    def cursor(self):
        """Fail as psycopg2 does."""
        self.pings += 1
        raise psycopg2.OperationalError("server closed the connection unexpectedly")


class Record:
    """The pool's record of a connection."""

    def __init__(self, idle_for):
        self.info = {"last_use": time.monotonic() - idle_for}


@pytest.fixture
def pipe():
    """The reading end of a pipe that nothing writes to."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def options(**environ):
    """Return create_engine's options for these settings on Postgres."""
    return engine.engine_options(vars(load("development", {"DATABASE_URL": "postgres://db/x", **environ})))


def test_pool():
    """The pool has exactly one connection for each thread, and a timeout."""
    found = options(GUNICORN_THREADS="7", DB_TIMEOUT="1.5")
    assert (found["pool_size"], found["max_overflow"], found["pool_timeout"]) == (7, 0, 1.5)


def test_server_timeouts():
    """The server ends a statement after DB_TIMEOUT and an idle transaction after twice that; its time zone is UTC."""
    settings = options(DB_TIMEOUT="1.5")["connect_args"]["options"].split(" -c ")
    assert settings[1:] == ["statement_timeout=1500", "idle_in_transaction_session_timeout=3000"]
    assert settings[0] == "-c timezone=UTC"


def test_client_timeout():
    """The client times out a little later than the server, whose message is better."""
    connection = established(options(DB_TIMEOUT="1.5"))
    assert connection.response_timeout == 1.5 + engine.CLIENT_GRACE_S


def test_one_timeout_for_a_request():
    """With the defaults a frozen server delays a request by less than 2 s, even if a ping and a connect both fail."""
    connecting = options()["connect_args"]["connection_factory"].response_timeout
    assert engine.PING_TIMEOUT_S + connecting <= established(options()).response_timeout <= 1.5


def established(found):
    """Return a stand-in for a connection that was just opened with create_engine's options."""
    timeout = found["connect_args"]["connection_factory"].response_timeout
    connection = type("Connection", (), {"response_timeout": timeout})()
    engine._on_connect(connection, Record(idle_for=9))
    return connection


def test_sqlite_busy_timeout():
    """On SQLite, DB_TIMEOUT limits the wait for another writer."""
    assert engine.engine_options(vars(load("development", {"DB_TIMEOUT": "1.5"}))) == {"connect_args": {"timeout": 1.5}}


def test_frozen_server(pipe):
    """A server that does not respond raises a ResponseTimeoutError."""
    with pytest.raises(engine.ResponseTimeoutError, match=r"no response from the server within 0.02 s"):
        engine._wait_for_server(FrozenConnection(pipe))


def test_frozen_while_connecting(pipe):
    """A timeout while connecting is an ordinary connection error, which does not trip the circuit breaker at once."""
    with pytest.raises(psycopg2.OperationalError) as caught:
        engine._wait_for_server(FrozenConnection(pipe, is_established=False))
    assert not isinstance(caught.value, engine.ResponseTimeoutError)


def test_each_response_restarts_the_timeout(monkeypatch):
    """The timeout applies to each response, not to their sum."""
    waits, states = [], [extensions.POLL_READ, extensions.POLL_WRITE, extensions.POLL_READ, extensions.POLL_OK]
    poller = SimpleNamespace(register=lambda *_: None, poll=lambda milliseconds: waits.append(milliseconds) or [0])
    monkeypatch.setattr(engine.select, "poll", lambda: poller)
    engine._wait_for_server(SimpleNamespace(poll=lambda: states.pop(0), fileno=lambda: 0, response_timeout=1.5))
    assert waits == [1500, 1500, 1500]


def test_wait_callback_is_registered():
    """psycopg2 waits for every operation through the callback."""
    assert extensions.get_wait_callback() is engine._wait_for_server


def test_idle_connection_is_pinged():
    """A connection that was closed while idle is replaced before a request gets it."""
    with pytest.raises(InvalidatePoolError):
        engine._ping_if_idle(ClosedConnection(), Record(idle_for=2), None)


def test_recent_connection_is_not_pinged():
    """A recently used connection does not cost an extra round trip."""
    connection = ClosedConnection()
    engine._ping_if_idle(connection, Record(idle_for=0), None)
    assert connection.pings == 0
