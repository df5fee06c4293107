"""Requests are counted once each, however they end, at the last moment before the client has its answer."""

import contextlib
import itertools

import pytest
from flask import Response, abort, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.observability.http_metrics import counted as counting
from app.observability.metrics import book

REQUESTS = "http_server_request_duration_seconds_count"


def broken_stream():
    """Yield a part, and fail at the second."""
    yield b"x"
    raise RuntimeError("in the middle")


def exhausted():
    """Fail with what ends iterations."""
    raise StopIteration


def left():
    """Fail as a process does that is told to end."""
    raise SystemExit(1)


VIEWS = {
    "ok": (lambda: "fine", "200"),
    "empty": (lambda: "", "200"),
    "no content": (lambda: ("", 204), "204"),
    "stream": (lambda: Response(iter([b"a", b"b"])), "200"),
    "not there": (lambda: abort(404), "404"),
    "error": (lambda: 1 / 0, "500"),
    "base exception": (left, "500"),
    "stop iteration": (exhausted, "500"),
    "no response": (lambda: None, "500"),
    "broken stream": (lambda: Response(broken_stream()), "500"),
    "bad json": (lambda: request.json, "415"),
    "too large": (lambda: abort(413), "413"),
    "teapot": (lambda: abort(418), "418"),
    "unknown status": (lambda: ("", 599), "599"),
}


@pytest.fixture
def ask(app, counted):
    """Return a function that asks for a view and returns what was counted: how many in all, and with the status."""

    def run(view, status, method="GET"):
        app.add_url_rule("/view/<int:number>", "view", lambda **_: view(), methods=["GET", "POST"])
        with contextlib.suppress(RuntimeError, SystemExit):  # what becomes of them is the server's business
            app.test_client().open("/view/7", method=method, buffered=True)
        return counted(REQUESTS), counted(REQUESTS, http_route="/view/<int:number>", http_response_status_code=status)

    return run


@pytest.mark.parametrize(("view", "status"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_counted_once(ask, counted, view, status, method):
    """Whatever a view does, its request is counted once, with its status, timed once, and no longer in flight."""
    if view is VIEWS["broken stream"][0] and method == "HEAD":
        status = "200"  # nothing is taken from the stream
    assert ask(view, status, method) == (1, 1)
    assert counted(REQUESTS) == 1
    assert counted("http_server_active_requests") == 0


HOOKS = ["before_request", "after_request", "teardown_request"]


@pytest.mark.parametrize("hook", HOOKS)
def test_failing_hook(app, counted, hook):
    """A hook that raises is counted like a view that does."""
    getattr(app, hook)(lambda *_: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):  # of after_request Flask makes a 500, of teardown_request it does not
        app.test_client().get("/health", buffered=True)
    assert counted(REQUESTS, http_route="/health", http_response_status_code="500") == counted(REQUESTS) == 1
    assert counted("http_server_active_requests") == 0


def test_foreign_host(make_app, counted):
    """A request for a name that is not trusted is counted, without a route."""
    make_app(TRUSTED_HOSTS="shop.example").test_client().get("/health", headers={"Host": "evil.example"})
    assert counted(REQUESTS, http_route="unmatched", http_response_status_code="400") == 1


def test_without_flask(counted):
    """What fails before there is a request at all is counted."""
    application = counting(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_wsgi_app(application, EnvironBuilder("/").get_environ())
    assert counted(REQUESTS, http_route="unmatched", http_response_status_code="500") == 1


def test_scanner(app, counted):
    """Random paths and methods add no series: a path is no label, and what HTTP does not know is one method."""
    client = app.test_client()
    for word in map("".join, itertools.product("abc", repeat=4)):
        client.open(f"/{word}/api/products/{word}", method=word.upper())
        client.get(f"/{word}")
        client.get(f"/api/products/1.{word}")
        client.get(f"/static/{word}.css")
    assert counted(REQUESTS) == 4 * 3**4
    assert app_series() == {
        ("_OTHER", "unmatched", "404"),
        ("GET", "unmatched", "404"),
        ("GET", "/static/<path:filename>", "404"),
    }


def app_series():
    """Return the labels of every series of requests."""
    families = {family.name: family for family in book.collect()}
    samples = families["http_server_request_duration_seconds"].samples
    return {
        tuple(sample.labels[name] for name in ("http_request_method", "http_route", "http_response_status_code"))
        for sample in samples
        if sample.name == REQUESTS
    }


class Server:
    """Takes an answer as Gunicorn does, and looks at the counter when it would send."""

    def __init__(self, counted):
        self.counted, self.seen = counted, []

    def look(self):
        """Note how many requests are counted now."""
        self.seen.append(int(self.counted(REQUESTS) or 0))

    def take(self, headers, parts, *, until=None):
        """Run an application that answers with these, and take the parts, or so many of them."""

        def application(_environ, start_response):
            start_response("200 OK", headers)
            return iter(parts)

        body = counting(application)({"REQUEST_METHOD": "GET"}, lambda *_: None)
        for number, _ in enumerate(body):
            self.look()
            if number + 1 == until:
                break
        self.look()  # the server sends what ends a body in chunks, or a head alone
        body.close()
        self.look()
        return self.seen


MOMENTS = {
    "one part": ([("Content-Length", "2")], [b"ab"], [1, 1, 1]),
    "two parts": ([("content-length", "2")], [b"a", b"b"], [0, 1, 1, 1]),
    "in chunks": ([], [b"a", b"b"], [0, 0, 1, 1]),
    "a head alone": ([("Content-Length", "2")], [], [1, 1]),
    "nothing": ([("Content-Length", "0")], [b""], [1, 1, 1]),
}


@pytest.mark.parametrize(("headers", "parts", "seen"), MOMENTS.values(), ids=MOMENTS)
def test_moment(counted, headers, parts, seen):
    """It is counted before what completes the answer is sent, and not before anything else is."""
    assert Server(counted).take(headers, parts) == seen


def test_client_that_has_gone(counted):
    """An answer that nobody takes to its end is counted when the server gives it up."""
    assert Server(counted).take([("Content-Length", "2")], [b"a", b"b"], until=1) == [0, 0, 1]


def test_in_flight(app, counted):
    """While a view runs, its request is in flight."""
    app.add_url_rule("/now", "now", lambda: str(counted("http_server_active_requests")))
    assert app.test_client().get("/now").text == "1.0"
