"""Postgres away: 503 with Retry-After in a bounded time, never a 500; what is cached is still served; and it heals."""

import contextlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from tests.integration.conftest import fresh_database
from tests.support.helpers import wait_for
from tests.support.integration.client import ask, product, together

MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def url(own_postgres):
    """A migrated database on the server that will be stopped."""
    return fresh_database(own_postgres)


@pytest.fixture(scope="module")
def server(serve, url, valkey):
    """A server that uses it."""
    return serve(url, valkey.url)


@pytest.fixture(scope="module")
def auth(auth_for, url):
    """The headers of a client that may do everything."""
    return auth_for(url)


@pytest.fixture(scope="module")
def made(server, auth):
    """A product that is there."""
    return ask(server.port, "POST", "/api/products", product(), auth)


@pytest.fixture(autouse=True)
def everything_is_well(server, own_postgres):
    """Begin each test with a Postgres that answers and a server that uses it."""
    if not own_postgres.running():
        own_postgres.start()
    wait_for(lambda: get(server, "/health/ready").status == 200)
    wait_for(lambda: get(server, "/api/products/1").status in {200, 404})
    wait_for(lambda: "hit" in get(server).cache)


def get(server, path="/api/products"):
    """Send GET, by default for the list that is cached."""
    return ask(server.port, "GET", path)


def is_away(answer, within):
    """Whether an answer is the problem document of a backend that is away, in time."""
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "2"
    assert b"127.0.0.1" not in answer.body
    assert answer.seconds < within
    return True


def test_stopped(server, own_postgres, made, auth):
    """With Postgres stopped reads and writes answer 503 at once, a cached list 200, and only readiness says no."""
    address = made.headers["Location"]
    own_postgres.stop()
    for _ in range(5):
        assert is_away(get(server, address), within=1)
        assert is_away(ask(server.port, "PATCH", address, {"price": 1}, auth | MERGE_PATCH), within=1)
    assert (get(server).status, "hit" in get(server).cache) == (200, True)
    assert get(server, "/health").status == 200
    ready = get(server, "/health/ready")
    assert (ready.status, ready.json["checks"]["database"]) == (503, "unavailable")


def test_a_restart_under_load(server, own_postgres, made):
    """While Postgres restarts clients see 200 and 503 and nothing else, and after it 200 without a restart of ours."""
    with repeated(lambda: get(server, made.headers["Location"]).status) as seen:
        through_a_restart(own_postgres, seen, good=200)
    assert set(seen) == {200, 503}


def test_a_crash_under_writes(server, own_postgres, url, auth):
    """When Postgres crashes under writes, each that was acknowledged is there once, and no client sees a 500."""
    acknowledged = []

    def write():
        answer = ask(server.port, "POST", "/api/products", product(name="Crash"), auth)
        acknowledged.extend([answer.json["sku"]] if answer.status == 201 else [])
        return answer.status

    with repeated(write) as seen:
        through_a_restart(own_postgres, seen, good=201, how=signal.SIGQUIT)
    assert set(seen) == {201, 503}
    rows = own_postgres.sql("SELECT sku FROM products WHERE name = 'Crash'", database=url.rpartition("/")[2])
    assert {sku for (sku,) in rows} >= set(acknowledged)
    assert len(acknowledged) == len(set(acknowledged)) == seen.count(201)


@contextlib.contextmanager
def repeated(act, clients=4):
    """Let clients act again and again during the block; give the list of what they saw."""
    seen, over = [], threading.Event()

    def go():
        while not over.is_set():
            seen.append(act())

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(go) for _ in range(clients)]
        try:
            yield seen
        finally:
            over.set()
        for client in running:
            client.result()


def through_a_restart(postgres, seen, good, how=signal.SIGINT):
    """Stop Postgres while all is well, start it when clients were refused, and go on until all is well again."""
    wait_for(lambda: seen.count(good) > 20)
    postgres.stop(how)
    wait_for(lambda: seen.count(503) > 20)
    postgres.start()
    before = seen.count(good)
    wait_for(lambda: seen.count(good) > before + 20)


def test_a_restart_between_two_requests(server, own_postgres, made, auth):
    """After a restart that no request saw, the connections in the pool are dead, and reads and writes still succeed."""
    own_postgres.stop()
    own_postgres.start()
    with contextlib.suppress(AssertionError):
        wait_for(lambda: False, seconds=1.1)  # the pool trusts a connection that was used a second ago
    assert get(server, made.headers["Location"]).status == 200
    written = ask(server.port, "PATCH", made.headers["Location"], {"price": 2}, auth | MERGE_PATCH)
    assert written.status == 200


def test_frozen(server, own_postgres, made):
    """With Postgres frozen a read answers 503 in a few seconds, readiness in about one, and the rest at once."""
    with own_postgres.frozen():
        ready = get(server, "/health/ready")
        assert (ready.status, ready.json["checks"]["database"], ready.seconds < 2) == (503, "timeout", True)
        answers = together(3, lambda _: get(server, made.headers["Location"]))
        assert all(is_away(answer, within=6) for answer in answers)
        assert (get(server).status, get(server).seconds < 0.5) == (200, True)
        assert get(server, "/health").seconds < 0.5
    wait_for(lambda: get(server, made.headers["Location"]).status == 200, seconds=5)
    wait_for(lambda: get(server, "/health/ready").status == 200, seconds=5)


def test_a_frozen_postgres_does_not_take_the_server_with_it(server, own_postgres, made):
    """Many clients of a frozen Postgres leave room for what does not need it: the breaker answers for it."""
    with own_postgres.frozen():
        together(12, lambda _: get(server, made.headers["Location"]))
        assert is_away(get(server, made.headers["Location"]), within=0.5)
        assert get(server, "/health").seconds < 0.5


def test_no_connection_left(own_postgres, serve, url, valkey, made):
    """When Postgres takes no more connections the answer is 503, not 500, and the process is healthy."""
    fresh = serve(url, valkey.url)
    with taken(own_postgres):
        answers = together(6, lambda _: get(fresh, made.headers["Location"]))
        assert all(is_away(answer, within=3) for answer in answers)
        assert get(fresh, "/health").status == 200
        assert get(fresh, "/health/ready").status == 503
    wait_for(lambda: get(fresh, made.headers["Location"]).status == 200, seconds=5)


@contextlib.contextmanager
def taken(server):
    """Hold every connection that Postgres has to give."""
    held = []
    try:
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                held.append(psycopg2.connect(server.url()))
        yield
    finally:
        for connection in held:
            connection.close()


def test_a_statement_that_takes_too_long(server, url, made, auth):
    """A write that waits for a lock until the statement's time is over answers 503, and the lock is no 500."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("SELECT 1 FROM products FOR UPDATE")
        answer = ask(server.port, "PATCH", made.headers["Location"], {"price": 3}, auth | MERGE_PATCH)
    assert is_away(answer, within=3)
