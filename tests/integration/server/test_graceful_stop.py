"""SIGTERM: the readiness probe fails first, then new connections; every accepted request gets its response."""

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import product, send_request

DRAIN = 2  # seconds
MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture
def server(serve, postgres_url, valkey):
    """A server with a drain."""
    return serve(postgres_url, valkey.url, DRAIN_SECONDS=str(DRAIN), DB_TIMEOUT="10")


@pytest.fixture
def server_without_drain(serve, postgres_url, valkey):
    """A server that stops without a drain."""
    return serve(postgres_url, valkey.url, DB_TIMEOUT="10")


@pytest.fixture
def auth(auth_for, postgres_url):
    """Headers of a client with all scopes."""
    return auth_for(postgres_url)


@contextlib.contextmanager
def row_locked(url, number):
    """Lock one product's row during the block."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("SELECT 1 FROM products WHERE id = %s FOR UPDATE", [number])
        yield
        connection.rollback()


def has_waiting_statement(postgres):
    """Whether a statement waits for a lock."""
    return postgres.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def readiness(server):
    """Return the readiness probe's status code and status."""
    response = send_request(server.port, "GET", "/health/ready")
    return response.status, response.json["status"]


@pytest.mark.guarantee(
    "During a drain the readiness probe fails and requests still succeed; then the server exits with 0"
)
def test_drain(server):
    """During the drain the readiness probe returns 503 and other requests 200; then the server exits with 0."""
    assert readiness(server) == (200, "ready")
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: readiness(server) == (503, "draining"), seconds=DRAIN, pause=0.01)
    while time.monotonic() < started + DRAIN - 0.3:
        assert send_request(server.port, "GET", "/api/products").status == 200
        assert send_request(server.port, "GET", "/health").status == 200
    assert server.process.wait(5) == 0
    assert time.monotonic() - started > DRAIN - 0.1


@pytest.mark.guarantee(
    "During a drain the readiness probe fails and requests still succeed; then the server exits with 0"
)
def test_active_request(server_without_drain, postgres, postgres_url, auth):
    """A request that is active at SIGTERM completes."""
    created = send_request(server_without_drain.port, "POST", "/api/products", product(), auth)
    with ThreadPoolExecutor(1) as pool:
        with row_locked(postgres_url, created.json["id"]):
            headers = auth | MERGE_PATCH
            slow = pool.submit(
                send_request, server_without_drain.port, "PATCH", created.headers["Location"], {"price": 77}, headers
            )
            wait_for(lambda: has_waiting_statement(postgres))
            server_without_drain.process.send_signal(signal.SIGTERM)
            wait_for(lambda: is_refused(server_without_drain), pause=0.01)
            assert not slow.done()
        assert (slow.result().status, slow.result().json["price"]) == (200, 77)
    assert server_without_drain.process.wait(5) == 0


def is_refused(server):
    """Whether the server refuses new connections."""
    try:
        return send_request(server.port, "GET", "/health", timeout=0.5) is None
    except OSError:
        return True


def test_second_signal(serve, postgres_url):
    """A second SIGTERM ends the drain; the server exits with 0."""
    server = serve(postgres_url, "redis://127.0.0.1:1", DRAIN_SECONDS="60")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: readiness(server) == (503, "draining"), pause=0.01)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
