"""The application is loaded once and forked: what one process opened must not be used by two."""

import psutil
import pytest

from tests.support.integration.client import ask, product, together

PRODUCTS = 200


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server with two workers."""
    return serve(postgres_url, valkey.url, WEB_CONCURRENCY="2")


@pytest.fixture(scope="module")
def addresses(server, auth_for, postgres_url):
    """The products' addresses, each with the name it must answer."""
    auth = auth_for(postgres_url)
    made = together(8, lambda _: [ask(server.port, "POST", "/api/products", product(), auth) for _ in range(25)])
    return {answer.headers["Location"]: answer.json["name"] for batch in made for answer in batch}


def peers(process, port):
    """Count the connections that a process has to a port."""
    return sum(bool(c.raddr) and c.raddr.port == port for c in process.net_connections("tcp"))


def test_each_reader_gets_its_own_row(server, addresses):
    """200 parallel reads of different products through two workers each return the product that was asked for."""
    listed = list(addresses.items())
    answers = together(32, lambda n: [(name, ask(server.port, "GET", path)) for path, name in listed[n::32]])
    flat = [(name, answer) for batch in answers for name, answer in batch]
    assert len(flat) == PRODUCTS
    assert [answer.json.get("name") for _, answer in flat] == [name for name, _ in flat]


def test_each_worker_opens_its_own_connections(server, addresses, postgres, valkey):
    """The master has no connection to Postgres or Valkey that a worker could have inherited; each worker has."""
    master = psutil.Process(server.process.pid)
    assert addresses
    together(16, lambda _: [ask(server.port, "GET", "/api/products") for _ in range(5)])
    assert [peers(master, port) for port in (postgres.port, valkey.port)] == [0, 0]
    for worker in master.children():
        assert peers(worker, postgres.port) > 0
        assert peers(worker, valkey.port) > 0
