"""Each request is counted exactly once, just before its client has the complete response."""

import contextlib
import itertools

import pytest
from flask import Response, abort, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.observability.http_metrics import MetricsMiddleware
from app.observability.metrics import registry

REQUESTS = "http_server_request_duration_seconds_count"


def broken_stream():
    """Fail at the second part."""
    yield b"x"
    raise RuntimeError("in the middle")


def raise_stop_iteration():
    """Raise the exception that ends iterations."""
    raise StopIteration


def raise_system_exit():
    """Raise the exception that ends processes."""
    raise SystemExit(1)


VIEWS = {
    "ok": (lambda: "fine", "200"),
    "empty": (lambda: "", "200"),
    "no content": (lambda: ("", 204), "204"),
    "stream": (lambda: Response(iter([b"a", b"b"])), "200"),
    "not found": (lambda: abort(404), "404"),
    "exception": (lambda: 1 / 0, "500"),
    "base exception": (raise_system_exit, "500"),
    "stop iteration": (raise_stop_iteration, "500"),
    "no response": (lambda: None, "500"),
    "broken stream": (lambda: Response(broken_stream()), "500"),
    "no json": (lambda: request.json, "415"),
    "too large": (lambda: abort(413), "413"),
    "teapot": (lambda: abort(418), "418"),
    "unknown status": (lambda: ("", 599), "599"),
}


@pytest.fixture
def count_requests(app, metric_value):
    """Return a function that requests a view and returns the counted requests: all, and those with the status."""

    def run(view, status, method="GET"):
        app.add_url_rule("/view/<int:number>", "view", lambda **_: view(), methods=["GET", "POST"])
        with contextlib.suppress(RuntimeError, SystemExit):  # the server handles them
            app.test_client().open("/view/7", method=method, buffered=True)
        labels = {"http_route": "/view/<int:number>", "http_response_status_code": status}
        return metric_value(REQUESTS), metric_value(REQUESTS, **labels)

    return run


@pytest.mark.parametrize(("view", "status"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_counted_once(count_requests, metric_value, view, status, method):
    """Whatever a view does, its request is counted once with its status and is no longer active."""
    if view is VIEWS["broken stream"][0] and method == "HEAD":
        status = "200"  # HEAD does not read the stream
    assert count_requests(view, status, method) == (1, 1)
    assert metric_value("http_server_active_requests") == 0


HOOKS = ["before_request", "after_request", "teardown_request"]


@pytest.mark.parametrize("hook", HOOKS)
def test_failing_hook(app, metric_value, hook):
    """A request whose hook raises an exception is counted as a 500."""
    getattr(app, hook)(lambda *_: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):  # Flask handles an exception in all hooks but teardown_request
        app.test_client().get("/health", buffered=True)
    assert metric_value(REQUESTS, http_route="/health", http_response_status_code="500") == metric_value(REQUESTS) == 1
    assert metric_value("http_server_active_requests") == 0


def test_untrusted_host(make_app, metric_value):
    """A request for an untrusted host is counted without a route."""
    make_app(TRUSTED_HOSTS="shop.example").test_client().get("/health", headers={"Host": "evil.example"})
    assert metric_value(REQUESTS, http_route="unmatched", http_response_status_code="400") == 1


def test_failing_application(metric_value):
    """A failure outside Flask is counted."""
    application = MetricsMiddleware(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_wsgi_app(application, EnvironBuilder("/").get_environ())
    assert metric_value(REQUESTS, http_route="unmatched", http_response_status_code="500") == 1


def test_label_cardinality(app, metric_value):
    """Random paths and methods create no series: paths are not labels, and unknown methods share one value."""
    client = app.test_client()
    for word in map("".join, itertools.product("abc", repeat=4)):
        client.open(f"/{word}/api/products/{word}", method=word.upper())
        client.get(f"/{word}")
        client.get(f"/api/products/1.{word}")
        client.get(f"/static/{word}.css")
    assert metric_value(REQUESTS) == 4 * 3**4
    assert list_series() == {
        ("_OTHER", "unmatched", "404"),
        ("GET", "unmatched", "404"),
        ("GET", "/static/<path:filename>", "404"),
    }


def list_series():
    """Return the label values of each series of requests."""
    names = ("http_request_method", "http_route", "http_response_status_code")
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name == REQUESTS]
    return {tuple(sample.labels[name] for name in names) for sample in samples}


class Server:
    """Reads a response as Gunicorn does, and notes the number of counted requests before each send."""

    def __init__(self, metric_value):
        self.metric_value, self.counts = metric_value, []

    def note_count(self):
        """Append the number of counted requests."""
        self.counts.append(int(self.metric_value(REQUESTS) or 0))

    def read(self, headers, parts, *, limit=None):
        """Run an application that returns these parts, and read up to LIMIT of them."""

        def application(_environ, start_response):
            start_response("200 OK", headers)
            return iter(parts)

        body = MetricsMiddleware(application)({"REQUEST_METHOD": "GET"}, lambda *_: None)
        for number, _ in enumerate(body):
            self.note_count()
            if number + 1 == limit:
                break
        self.note_count()  # the server sends the last chunk, or headers without a body
        body.close()
        self.note_count()
        return self.counts


RESPONSES = {
    "one part": ([("Content-Length", "2")], [b"ab"], [1, 1, 1]),
    "two parts": ([("content-length", "2")], [b"a", b"b"], [0, 1, 1, 1]),
    "chunked": ([], [b"a", b"b"], [0, 0, 1, 1]),
    "headers only": ([("Content-Length", "2")], [], [1, 1]),
    "empty": ([("Content-Length", "0")], [b""], [1, 1, 1]),
}


@pytest.mark.parametrize(("headers", "parts", "counts"), RESPONSES.values(), ids=RESPONSES)
def test_moment_of_counting(metric_value, headers, parts, counts):
    """A request is counted before the part that completes its response is sent, and after the parts before it."""
    assert Server(metric_value).read(headers, parts) == counts


def test_client_disconnect(metric_value):
    """A response that is not read to its end is counted when the server closes it."""
    assert Server(metric_value).read([("Content-Length", "2")], [b"a", b"b"], limit=1) == [0, 0, 1]


def test_active_requests(app, metric_value):
    """A request is active while its view runs."""
    app.add_url_rule("/now", "now", lambda: str(metric_value("http_server_active_requests")))
    assert app.test_client().get("/now").text == "1.0"
