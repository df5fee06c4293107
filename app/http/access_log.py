"""One access log line per request."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, current_app, g, has_request_context, request

from app.http.request_id import HEADER

RELEASE_HEADER = "X-Release"  # nginx logs it and removes it

log = logging.getLogger("app.request")


def add_middleware(app: Flask) -> None:
    """Log each request."""
    app.wsgi_app = AccessLogMiddleware(app.wsgi_app)  # type: ignore[method-assign]


class AccessLogMiddleware:
    """Add the request id and the release to the response, and log the request.

    Unlike an `after_request` function, it also runs when such a function fails.
    """

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve the request; Flask calls `start` while the request context is active."""
        started_at = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if has_request_context():
                headers += [(HEADER, g.request_id), (RELEASE_HEADER, current_app.config["RELEASE"])]
                if log.isEnabledFor(logging.INFO):
                    _log_request(int(status[:3]), headers, time.perf_counter() - started_at)
            return start_response(status, headers, *exc_info)

        return self.application(environ, start)  # type: ignore[no-any-return]


def _log_request(status: int, headers: list[tuple[str, str]], duration: float) -> None:
    """Log a request without its query string and headers, which may contain secrets."""
    method, path = request.method, request.path
    fields = {
        "method": method,
        "path": path,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": status,
        "duration_s": round(duration, 6),
        "bytes": _content_length(headers),
        "client": request.remote_addr,
        "token_name": g.get("token_name"),
    }
    log.info("%s %s %d %.2f ms", method, path, status, duration * 1000, extra=fields)


def _content_length(headers: list[tuple[str, str]]) -> int | None:
    return next((int(value) for name, value in headers if name == "Content-Length"), None)
