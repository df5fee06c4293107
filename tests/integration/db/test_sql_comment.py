"""While a statement waits, pg_stat_activity shows the id of its request."""

import contextlib
import threading

import psycopg2
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import product, send_request

ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server that trusts the request ids of its proxy."""
    return serve(postgres_url, valkey.url, TRUSTED_PROXIES="1", GUNICORN_THREADS="2")


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of an authorised client, with a request id."""
    return auth_for(postgres_url) | {"X-Request-ID": ID}


@pytest.mark.guarantee("A waiting SQL statement names its request in pg_stat_activity")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/products"),
        ("GET", "/api/products?q=red+mug&price_min=1&price_max=900000&currency=EUR&sort=-price"),
    ],
)
def test_a_waiting_statement_names_its_request(server, auth, postgres_url, method, path):
    """While a request waits for a lock, pg_stat_activity shows its id, even after the longest statement."""
    with contextlib.closing(psycopg2.connect(postgres_url)) as holder:
        holder.cursor().execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        body = product() if method == "POST" else None
        request = threading.Thread(target=send_request, args=(server.port, method, path, body, auth))
        request.start()
        (query,) = wait_for(lambda: waiting(holder), pause=0.01)
        holder.rollback()
        request.join()
    assert query.endswith(f" /* request_id={ID} */")


def waiting(connection):
    """Return the statements that wait for a lock."""
    cursor = connection.cursor()
    cursor.execute("SELECT pg_stat_clear_snapshot()")  # the view does not change within a transaction
    cursor.execute("SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return [query for (query,) in cursor]


def test_statements_have_one_query_id(postgres_url):
    """The same statement of two requests has one query id, under which pg_stat_statements counts it."""
    with contextlib.closing(psycopg2.connect(postgres_url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SET compute_query_id = on")
        query_ids = set()
        for number in (1, 2):
            cursor.execute(f"EXPLAIN (VERBOSE) SELECT {number} FROM products /* request_id=request-{number} */")
            query_ids |= {line for (line,) in cursor if line.startswith("Query Identifier")}
    assert len(query_ids) == 1
