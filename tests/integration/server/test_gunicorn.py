"""What only the real server shows: bodies in chunks, long request lines, heads without bodies."""

import pytest

from tests.support.integration.client import ask, product

LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server with one worker."""
    return serve(postgres_url, valkey.url, GUNICORN_THREADS="2")


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of a client that sends JSON."""
    return auth_for(postgres_url) | {"Content-Type": "application/json"}


def chunks(total, size=8192):
    """Yield a JSON body of about TOTAL bytes; sent in chunks it has no Content-Length."""
    yield b'{"sku": "CHUNKED", "name": "Chunked", "price": 1, "currency": "EUR", "description": "'
    for _ in range(total // size):
        yield b"x" * size
    yield b'"}'


def test_a_chunked_body_over_the_limit(server, auth):
    """A body that does not say how long it is answers 413 once it is over the limit, as a problem document."""
    answer = ask(server.port, "POST", "/api/products", chunks(2 * LIMIT), auth)
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json")


def test_a_chunked_body_within_the_limit(server, auth):
    """A body in chunks is read like any other: this one is whole, and its description too long."""
    answer = ask(server.port, "POST", "/api/products", chunks(LIMIT // 2), auth)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "description")


def test_a_declared_body_over_the_limit(server, auth):
    """A body that says it is too long answers 413."""
    answer = ask(server.port, "POST", "/api/products", product(description="x" * 2 * LIMIT), auth)
    assert answer.status == 413


def test_a_request_line_that_is_too_long(server):
    """A request line over Gunicorn's limit is refused, and the server goes on."""
    assert ask(server.port, "GET", "/api/products?q=" + "a" * 9000).status == 414
    assert ask(server.port, "GET", "/health").status == 200


def test_head(server):
    """HEAD answers what GET answers, without the body, from the cache too."""
    got = ask(server.port, "GET", "/api/products")
    head = ask(server.port, "HEAD", "/api/products")
    assert (head.status, head.body) == (200, b"")
    assert [head.headers[n] for n in ("ETag", "Content-Length")] == [got.headers["ETag"], str(len(got.body))]
    assert "hit" in head.cache


def test_a_foreign_host_is_refused(server):
    """A request for a name that is not trusted answers 400."""
    assert ask(server.port, "GET", "/api/products", headers={"Host": "evil.example"}).status == 400


def test_nothing_tells_the_version(server):
    """No header tells which release of which server answers."""
    answer = ask(server.port, "GET", "/health")
    assert answer.headers["Server"] == "gunicorn"
