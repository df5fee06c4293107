"""The application is loaded before the fork; workers must not share a connection."""

import psutil
import pytest

from tests.support.integration.client import product, send_request, together

PRODUCTS = 200


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server with two workers."""
    return serve(postgres_url, valkey.url, WEB_CONCURRENCY="2")


@pytest.fixture(scope="module")
def products(server, auth_for, postgres_url):
    """The products' URLs and names."""
    auth = auth_for(postgres_url)
    batches = together(
        8, lambda _: [send_request(server.port, "POST", "/api/products", product(), auth) for _ in range(25)]
    )
    return {response.headers["Location"]: response.json["name"] for batch in batches for response in batch}


def count_connections(process, port):
    """Count a process's connections to a port."""
    return sum(bool(c.raddr) and c.raddr.port == port for c in process.net_connections("tcp"))


def test_concurrent_reads(server, products):
    """200 concurrent reads through two workers each return the requested product."""
    listed = list(products.items())
    responses = together(32, lambda n: [(name, send_request(server.port, "GET", path)) for path, name in listed[n::32]])
    flat = [(name, response) for batch in responses for name, response in batch]
    assert len(flat) == PRODUCTS
    assert [response.json.get("name") for _, response in flat] == [name for name, _ in flat]


def test_connections_per_worker(server, products, postgres, valkey):
    """Each worker has connections to Postgres and Valkey; the master has none to inherit."""
    master = psutil.Process(server.process.pid)
    assert products
    together(16, lambda _: [send_request(server.port, "GET", "/api/products") for _ in range(5)])
    assert [count_connections(master, port) for port in (postgres.port, valkey.port)] == [0, 0]
    for worker in master.children():
        assert count_connections(worker, postgres.port) > 0
        assert count_connections(worker, valkey.port) > 0
