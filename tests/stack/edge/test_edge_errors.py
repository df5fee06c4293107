"""Errors of nginx: each is a problem document with the right status."""

import pytest

from tests.support.stack.client import is_problem

HOST = b"Host: localhost\r\nConnection: close\r\n"
LARGE = b"Content-Length: 65537\r\n" + HOST + b"\r\n"
REJECTED = {
    "no request line": (b"GARBAGE\r\n\r\n", 400, "Bad Request"),
    "a bad escape": (b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "Bad Request"),
    "a path above the root": (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 400, "Bad Request"),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400, "Bad Request"),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: a\r\n" + HOST + b"\r\n", 400, "Bad Request"),
    "two lengths": (
        b"POST /api/products HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n" + HOST + b"\r\n0\r\n\r\n",
        400,
        "Bad Request",
    ),
    "a bad chunk": (
        b"POST /api/products HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\nzz\r\n",
        400,
        "Bad Request",
    ),
    "a tunnel": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405, "Method Not Allowed"),
    "a tunnel with a body over 64 KiB": (b"CONNECT localhost:80 HTTP/1.1\r\n" + LARGE, 405, "Method Not Allowed"),
    "a body over 64 KiB": (b"POST /api/products HTTP/1.1\r\n" + LARGE, 413, "Content Too Large"),
    "a long URI": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "URI Too Long"),
    "a long header": (
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n" + HOST + b"\r\n",
        431,
        "Request Header Fields Too Large",
    ),
    "many headers": (
        b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 150 + HOST + b"\r\n",
        431,
        "Request Header Fields Too Large",
    ),
    "an unknown encoding": (
        b"POST /api/products HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + HOST + b"\r\n",
        501,
        "Not Implemented",
    ),
    "an unknown version": (b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n", 505, "HTTP Version Not Supported"),
    "metrics": (b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 404, "Not Found"),
    "nginx's internal page": (b"GET /.problem HTTP/1.1\r\n" + HOST + b"\r\n", 404, "Not Found"),
}


@pytest.mark.guarantee("nginx's own errors are problem documents too, down to an unparsable request line")
@pytest.mark.parametrize(("request_bytes", "status", "title"), REJECTED.values(), ids=REJECTED)
def test_nginx_errors_are_problem_documents(running, request_bytes, status, title):
    """A request that nginx rejects gets a problem document with its status, title and request id."""
    response = running.raw(request_bytes)
    assert is_problem(response, status), response
    assert response.json["title"] == title


@pytest.mark.parametrize("length", range(7900, 8201, 25))
@pytest.mark.parametrize("kind", ["line", "header"])
def test_requests_near_the_size_limits_never_get_html(running, kind, length):
    """Near the limits of nginx and Gunicorn a request is either served or rejected with a problem document."""
    filler = b"a" * length
    line, header = (b"?" + filler, b"b") if kind == "line" else (b"", filler)
    response = running.raw(b"GET /health" + line + b" HTTP/1.1\r\nX: " + header + b"\r\n" + HOST + b"\r\n")
    assert response.status == 200 or is_problem(response, 414 if kind == "line" else 431), response


def test_without_the_application_nginx_returns_503_with_retry_after(stack):
    """While web is stopped every request gets a 503 problem document with Retry-After at once."""
    stack.compose("stop", "web")
    for path, method in (("/health", "GET"), ("/api/products", "POST"), ("/nowhere", "DELETE")):
        response = stack.request(path, method)
        assert is_problem(response, 503), response
        assert int(response.headers["Retry-After"]) >= 1
        assert response.seconds < 4
