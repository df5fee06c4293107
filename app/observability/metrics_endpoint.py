"""GET /metrics, for Prometheus, which scrapes each container by its IP address.

Must be the outermost WSGI middleware: TRUSTED_HOSTS contains no container addresses, and scrapes are neither logged nor
counted. The edge responds 404 for this path. A request that was forwarded by any proxy reaches the application, which
has no such route.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from app.observability import metrics
from app.observability.http_metrics import Environ, WSGIApplication

PATH = "/metrics"


def add_middleware(app: Flask) -> None:
    """Add the endpoint, unless METRICS=off."""
    if app.config["METRICS"]:
        app.wsgi_app = MetricsEndpoint(app.wsgi_app)  # type: ignore[method-assign]


class MetricsEndpoint:
    """WSGI middleware that serves the metrics."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve the metrics, or pass the request on."""
        if environ.get("PATH_INFO") != PATH or environ["REQUEST_METHOD"] != "GET" or "HTTP_X_FORWARDED_FOR" in environ:
            return self.application(environ, start_response)
        body = generate_latest(metrics.registry)
        headers = [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4), ("Content-Length", str(len(body)))]
        start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
        return [body]
