"""Many clients at once, through two Gunicorn servers that share one Postgres and one Valkey."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg2
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import ask, numbers, product, together

CLIENTS = 32


@pytest.fixture(scope="module")
def pair(serve, postgres_url, valkey):
    """Two servers, each with room for half of the clients."""
    return [serve(postgres_url, valkey.url, GUNICORN_THREADS=str(CLIENTS // 2)) for _ in range(2)]


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of a client that may do everything."""
    return auth_for(postgres_url)


@pytest.fixture
def made(pair, auth):
    """A product that is there, with the price 0."""
    return ask(pair[0].port, "POST", "/api/products", product(price=0), auth)


def port_of(pair, number):
    """Return the port of one server or the other."""
    return pair[number % 2].port


def accepted(server):
    """Count the connections that a server's worker has taken from clients."""
    (worker,) = psutil.Process(server.process.pid).children()
    mine = [c for c in worker.net_connections("tcp") if c.laddr.port == server.port]
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in mine)


@contextlib.contextmanager
def locked(url, statement):
    """Hold what the statement locks during the block."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute(statement)
        yield
        connection.rollback()


def test_one_key_from_many_threads_makes_one_row(pair, auth):
    """One Idempotency-Key from 32 threads over two servers makes one product, and all get the same answer."""
    body, headers = product(), auth | {"Idempotency-Key": f"key-{next(numbers)}"}
    answers = together(CLIENTS, lambda n: ask(port_of(pair, n), "POST", "/api/products", body, headers))
    assert {answer.status for answer in answers} == {201}
    assert len({(answer.body, answer.headers["ETag"], answer.headers["Location"]) for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


def test_one_sku_from_many_threads_makes_one_row(pair, auth):
    """Of 32 clients who create the same SKU one gets 201 and all others 409."""
    body = product()
    answers = together(CLIENTS, lambda n: ask(port_of(pair, n), "POST", "/api/products", body, auth))
    assert sorted(answer.status for answer in answers) == [201] + [409] * (CLIENTS - 1)


def test_no_update_is_lost(pair, auth, made):
    """When 32 clients read, add one and write with If-Match, the sum is the number of writes that were accepted."""
    address = made.headers["Location"]

    def add_one(number):
        read = ask(port_of(pair, number), "GET", address)
        headers = auth | {"If-Match": read.headers["ETag"], "Content-Type": "application/merge-patch+json"}
        body = {"price": read.json["price"] + 1}
        return ask(port_of(pair, number // 2), "PATCH", address, body, headers).status

    statuses = [status for _ in range(4) for status in together(CLIENTS, add_one)]
    final = ask(pair[0].port, "GET", address).json
    assert set(statuses) == {200, 412}
    assert final["price"] == final["version"] - 1 == statuses.count(200)


def test_a_cold_key_is_computed_once(pair, postgres_url):
    """Of 32 clients who ask two servers for a list that nobody cached, one makes Postgres work, and all get it."""
    for _ in range(10):  # a second computation, begun just when the first ends, is rare
        answers = asked_while_locked(pair, postgres_url, f"/api/products?price_min={next(numbers)}")
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert sum("fwd=miss" in answer.cache for answer in answers) == 1


def asked_while_locked(pair, url, path):
    """Ask from all clients while the table is locked, and let go when all of them are in."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        with locked(url, "LOCK products IN ACCESS EXCLUSIVE MODE"):
            asked = [pool.submit(ask, port_of(pair, number), "GET", path) for number in range(CLIENTS)]
            wait_for(lambda: sum(map(accepted, pair)) == CLIENTS, seconds=1.5, pause=0.01)
        return [future.result() for future in asked]


def test_a_write_is_seen_through_the_other_server(pair, auth, made):
    """Each of 200 writes through one server is in the list that the other answers next, though both cache it."""
    path = f"/api/products?q={made.json['name'].replace(' ', '+')}"
    headers = auth | {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    hits = 0
    for number in range(1, 201):
        writer, reader = port_of(pair, number), port_of(pair, number + 1)
        hits += "hit" in ask(reader, "GET", path).cache
        ask(writer, "PATCH", made.headers["Location"], {"price": number}, headers)
        assert [item["price"] for item in ask(reader, "GET", path).json["items"]] == [number]
    assert hits > 0
