"""Count and time each request exactly once.

The middleware wraps the whole application, so it sees every failure inside. It records a request when the part that
completes the response is handed to Gunicorn. Recording the first part would count an interrupted response as a success.
Recording in `close()` would miss a response that the client has received, if the worker is killed before `close()`.
Every response that a client received is therefore counted. The only counted requests without a response are those that
a worker was sending when it was killed.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask, Request
from werkzeug.routing import Rule

from app.observability import metrics

ROUTE_KEY = "app.route"  # WSGI environment key of the matched URL rule
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def add_middleware(app: Flask) -> None:
    """Add the middleware, unless METRICS=off."""
    if app.config["METRICS"]:
        app.request_class = RoutedRequest
        app.wsgi_app = MetricsMiddleware(app.wsgi_app)  # type: ignore[method-assign]


class RoutedRequest(Request):
    """Copies the matched rule to the WSGI environment, where it outlives the request; faster than a hook."""

    _rule: Rule | None = None

    @property
    def url_rule(self) -> Rule | None:
        """The matched rule."""
        return self._rule

    @url_rule.setter
    def url_rule(self, rule: Rule | None) -> None:
        self._rule = rule
        if rule:
            self.environ[ROUTE_KEY] = rule.rule


class MetricsMiddleware:
    """WSGI middleware that measures requests."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass the request on and measure its response."""
        response = MeasuredResponse(environ, start_response)
        try:
            body = self.application(environ, response.start)
            response.parts = iter(body)
        except BaseException:
            response.record("500")
            response.add_active(-1)
            raise
        response.close_body = getattr(body, "close", None)
        return response


class MeasuredResponse:
    """Iterates over a response body and records the request when the body is complete."""

    __slots__ = (
        "add_active",
        "close_body",
        "environ",
        "is_recorded",
        "parts",
        "remaining",
        "start_response",
        "started_at",
        "status",
    )

    parts: Iterator[bytes]
    close_body: Callable[[], None] | None

    def __init__(self, environ: Environ, start_response: Callable[..., Any]) -> None:
        self.environ, self.start_response = environ, start_response
        self.add_active = metrics.registry.series("gauge", "http_server_active_requests", {}).inc
        self.add_active(1)
        self.started_at = time.perf_counter()
        self.status = "500"
        self.remaining: float = math.inf  # bytes; without Content-Length only the iterator's end completes the body
        self.is_recorded = False

    def start(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        """Read the status and the length, and start the response."""
        self.status = status[:3]
        for name, value in headers:
            if name.lower() == "content-length":
                self.remaining = int(value)
        return self.start_response(status, headers, *exc_info)

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next part; record the request before returning the last one."""
        try:
            part = next(self.parts)
        except StopIteration:
            self.record(self.status)
            raise
        except BaseException:
            self.record("500")
            raise
        self.remaining -= len(part)
        if self.remaining <= 0:
            self.record(self.status)
        return part

    def close(self) -> None:
        """Record a request whose body was not read to its end, such as after a client disconnect."""
        try:
            if self.close_body:
                self.close_body()
        finally:
            self.record(self.status)
            self.add_active(-1)

    def record(self, status: str) -> None:
        """Count and time the request, unless it is recorded already."""
        if self.is_recorded:
            return
        self.is_recorded = True
        method = self.environ["REQUEST_METHOD"]
        metrics.observe(
            "http_server_request_duration_seconds",
            time.perf_counter() - self.started_at,
            http_request_method=method if method in METHODS else "_OTHER",
            http_route=self.environ.get(ROUTE_KEY, "unmatched"),
            http_response_status_code=status,
        )
