"""Concurrent clients of two Gunicorn servers that share one Postgres and one Valkey."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg2
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import numbers, product, send_request, together

CLIENTS = 32


@pytest.fixture(scope="module")
def pair(serve, postgres_url, valkey):
    """Two servers, each with threads for half of the clients."""
    return [serve(postgres_url, valkey.url, GUNICORN_THREADS=str(CLIENTS // 2)) for _ in range(2)]


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of a client with every scope."""
    return auth_for(postgres_url)


@pytest.fixture
def created(pair, auth):
    """A product with the price 0."""
    return send_request(pair[0].port, "POST", "/api/products", product(price=0), auth)


def port_of(pair, number):
    """Return the port of one server or the other."""
    return pair[number % 2].port


def accepted(server):
    """Count the client connections of a server's worker."""
    (worker,) = psutil.Process(server.process.pid).children()
    mine = [c for c in worker.net_connections("tcp") if c.laddr.port == server.port]
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in mine)


@contextlib.contextmanager
def locked(url, statement):
    """Execute a locking statement and hold its locks during the block."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(statement)
        yield
        connection.rollback()


@pytest.mark.guarantee("Concurrent writers lose no update, and an Idempotency-Key creates one product")
def test_concurrent_idempotency_key(pair, auth):
    """One Idempotency-Key in 32 concurrent requests to two servers creates one product; all get the same response."""
    body, headers = product(), auth | {"Idempotency-Key": f"key-{next(numbers)}"}
    responses = together(CLIENTS, lambda n: send_request(port_of(pair, n), "POST", "/api/products", body, headers))
    assert {response.status for response in responses} == {201}
    assert len({(response.body, response.headers["ETag"], response.headers["Location"]) for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1


def test_concurrent_sku(pair, auth):
    """Of 32 concurrent requests with the same SKU one gets 201 and all others 409."""
    body = product()
    responses = together(CLIENTS, lambda n: send_request(port_of(pair, n), "POST", "/api/products", body, auth))
    assert sorted(response.status for response in responses) == [201] + [409] * (CLIENTS - 1)


@pytest.mark.guarantee("Concurrent writers lose no update, and an Idempotency-Key creates one product")
def test_no_lost_update(pair, auth, created):
    """After 32 clients read, add one and write with If-Match, the price is the number of successful writes."""
    path = created.headers["Location"]

    def add_one(number):
        read = send_request(port_of(pair, number), "GET", path)
        headers = auth | {"If-Match": read.headers["ETag"], "Content-Type": "application/merge-patch+json"}
        body = {"price": read.json["price"] + 1}
        return send_request(port_of(pair, number // 2), "PATCH", path, body, headers).status

    statuses = [status for _ in range(4) for status in together(CLIENTS, add_one)]
    final = send_request(pair[0].port, "GET", path).json
    assert set(statuses) == {200, 412}
    assert final["price"] == final["version"] - 1 == statuses.count(200)


@pytest.mark.guarantee("Concurrent requests for an uncached list compute it once")
def test_single_computation(pair, postgres_url):
    """Of 32 concurrent requests for an uncached list one computes it, and all get the result."""
    for _ in range(10):  # a second computation, at the moment the first ends, is rare
        responses = send_while_locked(pair, postgres_url, f"/api/products?price_min={next(numbers)}")
        assert {response.status for response in responses} == {200}
        assert len({response.body for response in responses}) == 1
        assert sum("fwd=miss" in response.cache for response in responses) == 1


def send_while_locked(pair, url, path):
    """Send requests from all clients while the table is locked; release the lock when all are connected."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        with locked(url, "LOCK products IN ACCESS EXCLUSIVE MODE"):
            futures = [pool.submit(send_request, port_of(pair, number), "GET", path) for number in range(CLIENTS)]
            wait_for(lambda: sum(map(accepted, pair)) == CLIENTS, seconds=1.5, pause=0.01)
        return [future.result() for future in futures]


@pytest.mark.guarantee("A write through one process is in the next response of every other")
def test_invalidation_across_servers(pair, auth, created):
    """Each of 200 writes through one server is in the next list from the other, although both cache it."""
    path = f"/api/products?q={created.json['name'].replace(' ', '+')}"
    headers = auth | {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    hits = 0
    for number in range(1, 201):
        writer, reader = port_of(pair, number), port_of(pair, number + 1)
        hits += "hit" in send_request(reader, "GET", path).cache
        send_request(writer, "PATCH", created.headers["Location"], {"price": number}, headers)
        assert [item["price"] for item in send_request(reader, "GET", path).json["items"]] == [number]
    assert hits > 0
