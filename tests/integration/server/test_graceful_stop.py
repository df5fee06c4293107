"""SIGTERM: first "not ready", then no new requests, and every accepted one ends with its answer."""

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import ask, product

DRAIN = 2  # seconds
MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture
def server(serve, postgres_url, valkey):
    """A server that drains before it stops."""
    return serve(postgres_url, valkey.url, DRAIN_SECONDS=str(DRAIN), DB_TIMEOUT="10")


@pytest.fixture
def impatient(serve, postgres_url, valkey):
    """A server that stops at once when it is told to."""
    return serve(postgres_url, valkey.url, DB_TIMEOUT="10")


@pytest.fixture
def auth(auth_for, postgres_url):
    """The headers of a client that may do everything."""
    return auth_for(postgres_url)


@contextlib.contextmanager
def row_locked(url, number):
    """Hold the lock of one product during the block."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("SELECT 1 FROM products WHERE id = %s FOR UPDATE", [number])
        yield
        connection.rollback()


def waiting(postgres):
    """Whether a statement waits for a lock."""
    return postgres.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def readiness(server):
    """Return the status and the word of readiness."""
    answer = ask(server.port, "GET", "/health/ready")
    return answer.status, answer.json["status"]


def test_draining_says_so_and_serves_on(server):
    """After SIGTERM readiness answers 503 "draining" and all else 200 until the drain is over; the exit code is 0."""
    assert readiness(server) == (200, "ready")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: readiness(server) == (503, "draining"), seconds=DRAIN, pause=0.01)
    while time.monotonic() < began + DRAIN - 0.3:
        assert ask(server.port, "GET", "/api/products").status == 200
        assert ask(server.port, "GET", "/health").status == 200
    assert server.process.wait(5) == 0
    assert time.monotonic() - began > DRAIN - 0.1


def test_a_request_in_flight_gets_its_answer(impatient, postgres, postgres_url, auth):
    """A request that waits when the server is told to stop is answered as if nothing had happened."""
    made = ask(impatient.port, "POST", "/api/products", product(), auth)
    with ThreadPoolExecutor(1) as pool:
        with row_locked(postgres_url, made.json["id"]):
            headers = auth | MERGE_PATCH
            slow = pool.submit(ask, impatient.port, "PATCH", made.headers["Location"], {"price": 77}, headers)
            wait_for(lambda: waiting(postgres))
            impatient.process.send_signal(signal.SIGTERM)
            wait_for(lambda: refused(impatient), pause=0.01)
            assert not slow.done()
        assert (slow.result().status, slow.result().json["price"]) == (200, 77)
    assert impatient.process.wait(5) == 0


def refused(server):
    """Whether the server takes no new connections."""
    try:
        return ask(server.port, "GET", "/health", timeout=0.5) is None
    except OSError:
        return True


def test_a_second_signal_ends_the_wait(serve, postgres_url):
    """Whoever does not want to wait for the drain sends SIGTERM again, and the exit code is 0."""
    server = serve(postgres_url, "redis://127.0.0.1:1", DRAIN_SECONDS="60")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: readiness(server) == (503, "draining"), pause=0.01)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
