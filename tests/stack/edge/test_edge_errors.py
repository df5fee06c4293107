"""Errors that nginx answers itself, or hands on: each is a problem document that tells the truth about its status."""

import pytest

from tests.support.stack.client import is_problem

HOST = b"Host: localhost\r\nConnection: close\r\n"
LARGE = b"Content-Length: 65537\r\n" + HOST + b"\r\n"
UNREADABLE = {
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
    "a long address": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "URI Too Long"),
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
    "the metrics": (b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 404, "Not Found"),
    "nginx' own page": (b"GET /.problem HTTP/1.1\r\n" + HOST + b"\r\n", 404, "Not Found"),
}


@pytest.mark.parametrize(("request_bytes", "status", "title"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_nginx_refuses_is_a_problem_document(running, request_bytes, status, title):
    """A request that nginx refuses gets a problem document with its status, its title and the request's id."""
    answer = running.raw(request_bytes)
    assert is_problem(answer, status), answer
    assert answer.json["title"] == title


@pytest.mark.parametrize("length", range(7900, 8201, 25))
@pytest.mark.parametrize("kind", ["line", "header"])
def test_what_is_just_too_long_is_never_a_page_of_html(running, kind, length):
    """Around the limits of nginx and Gunicorn a request is either served or refused with a problem document."""
    filled = b"a" * length
    line, header = (b"?" + filled, b"b") if kind == "line" else (b"", filled)
    answer = running.raw(b"GET /health" + line + b" HTTP/1.1\r\nX: " + header + b"\r\n" + HOST + b"\r\n")
    assert answer.status == 200 or is_problem(answer, 414 if kind == "line" else 431), answer


def test_without_the_application_nginx_says_when_to_try_again(stack):
    """While web is stopped each request gets a 503 problem document with Retry-After, at once."""
    stack.compose("stop", "web")
    for path, method in (("/health", "GET"), ("/api/products", "POST"), ("/nowhere", "DELETE")):
        answer = stack.ask(path, method)
        assert is_problem(answer, 503), answer
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.seconds < 4
