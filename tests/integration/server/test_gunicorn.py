"""Behaviour of the real server: chunked bodies, long request lines, HEAD."""

import pytest

from tests.support.integration.client import product, send_request

LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server with one worker."""
    return serve(postgres_url, valkey.url, GUNICORN_THREADS="2")


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """Headers of an authorized client that sends JSON."""
    return auth_for(postgres_url) | {"Content-Type": "application/json"}


def chunks(total, size=8192):
    """Yield a JSON body of about TOTAL bytes, to send without Content-Length."""
    yield b'{"sku": "CHUNKED", "name": "Chunked", "price": 1, "currency": "EUR", "description": "'
    for _ in range(total // size):
        yield b"x" * size
    yield b'"}'


def test_chunked_body_too_large(server, auth):
    """A chunked body over the limit gets 413 with a problem document."""
    response = send_request(server.port, "POST", "/api/products", chunks(2 * LIMIT), auth)
    assert (response.status, response.headers["Content-Type"]) == (413, "application/problem+json")


def test_chunked_body(server, auth):
    """A chunked body within the limit is parsed: its description is too long."""
    response = send_request(server.port, "POST", "/api/products", chunks(LIMIT // 2), auth)
    assert (response.status, response.json["errors"][0]["field"]) == (422, "description")


def test_content_length_too_large(server, auth):
    """A Content-Length over the limit gets 413."""
    response = send_request(server.port, "POST", "/api/products", product(description="x" * 2 * LIMIT), auth)
    assert response.status == 413


def test_long_request_line(server):
    """A request line over Gunicorn's limit gets 414, and the server continues."""
    assert send_request(server.port, "GET", "/api/products?q=" + "a" * 9000).status == 414
    assert send_request(server.port, "GET", "/health").status == 200


def test_head(server):
    """HEAD returns the headers of GET without the body, including from the cache."""
    got = send_request(server.port, "GET", "/api/products")
    head = send_request(server.port, "HEAD", "/api/products")
    assert (head.status, head.body) == (200, b"")
    assert [head.headers[n] for n in ("ETag", "Content-Length")] == [got.headers["ETag"], str(len(got.body))]
    assert "hit" in head.cache


def test_untrusted_host(server):
    """A request for an untrusted host gets 400."""
    assert send_request(server.port, "GET", "/api/products", headers={"Host": "evil.example"}).status == 400


def test_server_header(server):
    """The Server header has no version."""
    response = send_request(server.port, "GET", "/health")
    assert response.headers["Server"] == "gunicorn"
