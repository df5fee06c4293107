"""The engine: a limit on every wait, and a pool as large as there are threads."""

import os
import time
from types import SimpleNamespace

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy.exc import InvalidatePoolError

from app.db import engine
from config import load


class Silent:
    """A connection to a server that is frozen: it always wants to read, and nothing ever comes."""

    wait_deadline = 0.02

    def __init__(self, pipe, *, made=True):
        self.pipe, self.made = pipe, made

    def poll(self):
        """Want more."""
        return extensions.POLL_READ

    def fileno(self):
        """Where it would come."""
        return self.pipe

    def close(self):
        """Wait for the lock that psycopg2 holds during the callback."""
        raise AssertionError("would hang for ever")


class Cut:
    """A connection that the server has closed; counts how often it was asked."""

    wait_deadline, asked = 2.5, 0

    def cursor(self):
        """Fail as psycopg2 does."""
        self.asked += 1
        raise psycopg2.OperationalError("server closed the connection unexpectedly")


class Record:
    """What the pool knows of a connection."""

    def __init__(self, unused_for):
        self.info = {"used": time.monotonic() - unused_for}


@pytest.fixture
def pipe():
    """The reading end of a pipe into which nobody writes."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def options(**environ):
    """Return create_engine's options for these settings on Postgres."""
    return engine.options(vars(load("development", {"DATABASE_URL": "postgres://db/x", **environ})))


def test_pool():
    """There is a connection for each thread and not one more, and who waits for one waits only so long."""
    found = options(GUNICORN_THREADS="7", DB_TIMEOUT="1.5")
    assert (found["pool_size"], found["max_overflow"], found["pool_timeout"]) == (7, 0, 1.5)


def test_server_limits():
    """The server ends a statement after DB_TIMEOUT and an idle transaction after twice that; its times are UTC."""
    words = options(DB_TIMEOUT="1.5")["connect_args"]["options"].split(" -c ")
    assert words[1:] == ["statement_timeout=1500", "idle_in_transaction_session_timeout=3000"]
    assert words[0] == "-c timezone=UTC"


def test_client_limit():
    """The client gives up a little later than the server should have: that one's message is better."""
    connection = made(options(DB_TIMEOUT="1.5"))
    assert connection.wait_deadline == 1.5 + engine.CLIENT_GRACE


def test_a_request_waits_once():
    """A frozen server costs no request 2 s, by default: neither a statement, nor a ping and a connection after it."""
    connecting = options()["connect_args"]["connection_factory"].wait_deadline
    assert engine.PING_DEADLINE + connecting <= made(options()).wait_deadline <= 1.5


def made(found):
    """Return a connection that was just made with create_engine's options, as far as its clock is concerned."""
    connection = type("Made", (), {"wait_deadline": found["connect_args"]["connection_factory"].wait_deadline})()
    engine._connected(connection, Record(unused_for=9))
    return connection


def test_sqlite_waits_for_the_lock():
    """On SQLite the wait is for another writer, and as long."""
    assert engine.options(vars(load("development", {"DB_TIMEOUT": "1.5"}))) == {"connect_args": {"timeout": 1.5}}


def test_silent_server(pipe):
    """A server that says nothing costs a request the deadline, no more."""
    with pytest.raises(engine.SilenceError, match=r"no answer from the server within 0.02 s"):
        engine._wait(Silent(pipe))


def test_silent_from_the_beginning(pipe):
    """One that was never reached is not one that has fallen silent: it is asked again before all are told."""
    with pytest.raises(psycopg2.OperationalError) as refusal:
        engine._wait(Silent(pipe, made=False))
    assert not isinstance(refusal.value, engine.SilenceError)


def test_a_server_that_answers(monkeypatch):
    """Each answer is waited for as long as the first: what takes many of them is not given up for their sum."""
    polled, states = [], [extensions.POLL_READ, extensions.POLL_WRITE, extensions.POLL_READ, extensions.POLL_OK]
    watch = SimpleNamespace(register=lambda *_: None, poll=lambda milliseconds: polled.append(milliseconds) or [0])
    monkeypatch.setattr(engine.select, "poll", lambda: watch)
    engine._wait(SimpleNamespace(poll=lambda: states.pop(0), fileno=lambda: 0, wait_deadline=1.5))
    assert polled == [1500, 1500, 1500]


def test_every_wait_is_watched():
    """psycopg2 itself waits through that function, so no statement can do without it."""
    assert extensions.get_wait_callback() is engine._wait


def test_idle_connection_is_asked():
    """A connection that was cut while it was idle is replaced before a request gets it."""
    with pytest.raises(InvalidatePoolError):
        engine._ping_if_idle(Cut(), Record(unused_for=2), None)


def test_busy_connection_is_not_asked():
    """A connection that was used a moment ago costs no extra round trip."""
    connection = Cut()
    engine._ping_if_idle(connection, Record(unused_for=0), None)
    assert connection.asked == 0
