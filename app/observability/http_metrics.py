"""Requests: how many, with which status, how long, and how many at once; each is counted exactly once.

Around the whole application, so that nothing that fails inside is missed. A request is counted at the last moment at
which its client cannot have its answer yet: when the part of the body that completes it is handed to the server.
Counted when the first part goes out, an answer that breaks off would be a success. Counted when the server is done with
it (`close`), the answer of a worker that is killed just then would be with the client and nowhere in the counters. So
whatever was answered was counted, and of what was counted only what a worker was sending when it was killed was not
answered.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask, Request
from werkzeug.routing import Rule

from app.observability import metrics

ROUTE = "app.route"  # where the WSGI environment has the URL rule, once there is one
LENGTH = len("content-length")  # looked at first: there are many headers, and few are as long
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def init_app(app: Flask) -> None:
    """Count around all that was put around the application before."""
    if app.config["METRICS"]:
        app.request_class = RoutedRequest
        app.wsgi_app = counted(app.wsgi_app)  # type: ignore[assignment, method-assign]


class RoutedRequest(Request):
    """Leaves its rule where it is found when Flask has let go of the request; a hook would take much longer."""

    _rule: Rule | None = None

    @property
    def url_rule(self) -> Rule | None:
        """The rule that the request matched."""
        return self._rule

    @url_rule.setter
    def url_rule(self, rule: Rule | None) -> None:
        self._rule = rule
        if rule:
            self.environ[ROUTE] = rule.rule


def counted(application: Application) -> Application:
    """Return the application with its requests counted."""

    def watched(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = Answer(environ, start_response)
        try:
            answer.parts = iter(body := application(environ, answer.start))
        except BaseException:
            answer.count("500")
            answer.in_flight(-1)
            raise
        answer.close_body = getattr(body, "close", None)
        return answer

    return watched


def _series(method: str, route: str, status: str) -> Callable[[float], None]:
    """Return what counts and times such a request, and keep it at hand."""
    labels = {"http_request_method": method, "http_route": route, "http_response_status_code": status}
    found: Callable[[float], None] = metrics.book.series(
        "histogram", "http_server_request_duration_seconds", labels
    ).observe
    metrics.book.kept[method, route, status] = found
    return found


class Answer:
    """The answer to one request, as it goes by."""

    __slots__ = ("began", "close_body", "environ", "in_flight", "left", "open", "parts", "start_response", "status")

    parts: Iterator[bytes]
    close_body: Callable[[], None] | None

    def __init__(self, environ: Environ, start_response: Callable[..., Any]) -> None:
        self.environ, self.start_response = environ, start_response
        self.in_flight = metrics.book.series("gauge", "http_server_active_requests", {}).inc
        self.in_flight(1)
        self.began = time.perf_counter()
        self.status = "500"
        self.left: float = math.inf  # bytes until the answer is whole; without a length its end is what ends it
        self.open = True

    def start(self, status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        """Remember how the answer begins, and begin it."""
        self.status = status[:3]
        for name, value in headers:
            if len(name) == LENGTH and name.lower() == "content-length":
                self.left = int(value)
        return self.start_response(status, headers, *error)

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Hand the next part on."""
        try:
            part = next(self.parts)
        except StopIteration:
            self.count(self.status)
            raise
        except BaseException:
            self.count("500")
            raise
        self.left -= len(part)
        if self.left <= 0:
            self.count(self.status)
        return part

    def close(self) -> None:
        """Count it if it was not taken to its end, as when its client has gone; it is no longer in flight."""
        try:
            if self.close_body:
                self.close_body()
        finally:
            self.count(self.status)
            self.in_flight(-1)

    def count(self, status: str) -> None:
        """Count it, the first time."""
        if not self.open:
            return
        self.open = False
        method = self.environ["REQUEST_METHOD"]
        method = method if method in METHODS else "_OTHER"
        route = self.environ.get(ROUTE, "unmatched")
        observe = metrics.book.kept.get((method, route, status)) or _series(method, route, status)
        observe(time.perf_counter() - self.began)
