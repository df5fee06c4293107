"""Without Postgres, requests get a 503 with Retry-After in bounded time, or a cached response; then they recover."""

import contextlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from tests.integration.conftest import fresh_database
from tests.support.helpers import wait_for
from tests.support.integration.client import product, send_request, together

MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def url(own_postgres):
    """A migrated database on the server that the tests stop."""
    return fresh_database(own_postgres)


@pytest.fixture(scope="module")
def server(serve, url, valkey):
    """A Gunicorn server on that database."""
    return serve(url, valkey.url)


@pytest.fixture(scope="module")
def auth(auth_for, url):
    """The headers of a client with all scopes."""
    return auth_for(url)


@pytest.fixture(scope="module")
def existing(server, auth):
    """An existing product."""
    return send_request(server.port, "POST", "/api/products", product(), auth)


@pytest.fixture(autouse=True)
def recovered(server, own_postgres):
    """Start each test with a running Postgres and a ready server."""
    if not own_postgres.running():
        own_postgres.start()
    wait_for(lambda: get(server, "/health/ready").status == 200)
    wait_for(lambda: get(server, "/api/products/1").status in {200, 404})
    wait_for(lambda: "hit" in get(server).cache)


def get(server, path="/api/products"):
    """Send GET, by default for the cached list."""
    return send_request(server.port, "GET", path)


def is_unavailable(response, within):
    """Whether the response is the problem document of an unavailable backend, in time."""
    assert (response.status, response.headers["Content-Type"]) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "2"
    assert b"127.0.0.1" not in response.body
    assert response.seconds < within
    return True


@pytest.mark.guarantee(
    "With Postgres stopped, restarted or crashed, clients get 503 and never 500, and no write is lost"
)
def test_stopped(server, own_postgres, existing, auth):
    """With Postgres stopped, uncached requests get a 503 and a cached list a 200; only readiness fails."""
    address = existing.headers["Location"]
    own_postgres.stop()
    for _ in range(5):
        assert is_unavailable(get(server, address), within=1)
        assert is_unavailable(send_request(server.port, "PATCH", address, {"price": 1}, auth | MERGE_PATCH), within=1)
    assert (get(server).status, "hit" in get(server).cache) == (200, True)
    assert get(server, "/health").status == 200
    ready = get(server, "/health/ready")
    assert (ready.status, ready.json["checks"]["database"]) == (503, "unavailable")


@pytest.mark.guarantee(
    "With Postgres stopped, restarted or crashed, clients get 503 and never 500, and no write is lost"
)
def test_restart_under_load(server, own_postgres, existing):
    """During a restart of Postgres clients get only 200 and 503, and 200 afterwards."""
    with repeated(lambda: get(server, existing.headers["Location"]).status) as statuses:
        restart_under_requests(own_postgres, statuses, success=200)
    assert set(statuses) == {200, 503}


@pytest.mark.guarantee(
    "With Postgres stopped, restarted or crashed, clients get 503 and never 500, and no write is lost"
)
def test_crash_under_writes(server, own_postgres, url, auth):
    """After a crash under writes each acknowledged write exists exactly once, and no client gets a 500."""
    acknowledged = []

    def write():
        response = send_request(server.port, "POST", "/api/products", product(name="Crash"), auth)
        acknowledged.extend([response.json["sku"]] if response.status == 201 else [])
        return response.status

    with repeated(write) as statuses:
        restart_under_requests(own_postgres, statuses, success=201, stop_signal=signal.SIGQUIT)
    assert set(statuses) == {201, 503}
    rows = own_postgres.sql("SELECT sku FROM products WHERE name = 'Crash'", database=url.rpartition("/")[2])
    assert {sku for (sku,) in rows} >= set(acknowledged)
    assert len(acknowledged) == len(set(acknowledged)) == statuses.count(201)


@contextlib.contextmanager
def repeated(act, clients=4):
    """Let clients repeat an action during the block; yield the list of their results."""
    results, ended = [], threading.Event()

    def repeat():
        while not ended.is_set():
            results.append(act())

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(repeat) for _ in range(clients)]
        try:
            yield results
        finally:
            ended.set()
        for client in running:
            client.result()


def restart_under_requests(postgres, statuses, success, stop_signal=signal.SIGINT):
    """Stop Postgres, start it after requests have failed, and wait until requests succeed again."""
    wait_for(lambda: statuses.count(success) > 20)
    postgres.stop(stop_signal)
    wait_for(lambda: statuses.count(503) > 20)
    postgres.start()
    before = statuses.count(success)
    wait_for(lambda: statuses.count(success) > before + 20)


def test_restart_between_requests(server, own_postgres, existing, auth):
    """After a restart between requests, reads and writes succeed although the pool's connections are closed."""
    own_postgres.stop()
    own_postgres.start()
    with contextlib.suppress(AssertionError):
        wait_for(lambda: False, seconds=1.1)  # the pool does not ping a connection that was used within a second
    assert get(server, existing.headers["Location"]).status == 200
    written = send_request(server.port, "PATCH", existing.headers["Location"], {"price": 2}, auth | MERGE_PATCH)
    assert written.status == 200


def test_frozen(server, own_postgres, existing):
    """With Postgres frozen a read gets a 503 in a few seconds, readiness in about one, later requests immediately."""
    with own_postgres.frozen():
        ready = get(server, "/health/ready")
        assert (ready.status, ready.json["checks"]["database"], ready.seconds < 2) == (503, "timeout", True)
        responses = together(3, lambda _: get(server, existing.headers["Location"]))
        assert all(is_unavailable(response, within=6) for response in responses)
        assert (get(server).status, get(server).seconds < 0.5) == (200, True)
        assert get(server, "/health").seconds < 0.5
    wait_for(lambda: get(server, existing.headers["Location"]).status == 200, seconds=5)
    wait_for(lambda: get(server, "/health/ready").status == 200, seconds=5)


def test_frozen_postgres_leaves_threads_free(server, own_postgres, existing):
    """Many requests to a frozen Postgres leave threads for others, because the circuit breaker rejects them."""
    with own_postgres.frozen():
        together(12, lambda _: get(server, existing.headers["Location"]))
        assert is_unavailable(get(server, existing.headers["Location"]), within=0.5)
        assert get(server, "/health").seconds < 0.5


def test_connection_limit_reached(own_postgres, serve, url, valkey, existing):
    """If Postgres refuses more connections, requests get a 503 instead of a 500, and the process stays healthy."""
    fresh = serve(url, valkey.url)
    with all_connections_taken(own_postgres):
        responses = together(6, lambda _: get(fresh, existing.headers["Location"]))
        assert all(is_unavailable(response, within=3) for response in responses)
        assert get(fresh, "/health").status == 200
        assert get(fresh, "/health/ready").status == 503
    wait_for(lambda: get(fresh, existing.headers["Location"]).status == 200, seconds=5)


@contextlib.contextmanager
def all_connections_taken(server):
    """Take every available connection."""
    held = []
    try:
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                held.append(psycopg2.connect(server.url()))
        yield
    finally:
        for connection in held:
            connection.close()


def test_statement_timeout(server, url, existing, auth):
    """A write that waits for a lock until statement_timeout gets a 503."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("SELECT 1 FROM products FOR UPDATE")
        response = send_request(server.port, "PATCH", existing.headers["Location"], {"price": 3}, auth | MERGE_PATCH)
    assert is_unavailable(response, within=3)
