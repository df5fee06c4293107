"""GET /metrics, for Prometheus, which asks each container by its address.

Outermost, before anything looks at the name that was asked for (TRUSTED_HOSTS knows no addresses of containers), logs
or counts: the watcher's own questions, four a minute and always well, would only hide what users meet. The edge answers
404 for the path. What comes through a proxy all the same is not answered here, and finds no such route inside; nor does
whoever says that they come through one, wherever they are.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from app.observability import metrics
from app.observability.http_metrics import Application, Environ

PATH = "/metrics"


def init_app(app: Flask) -> None:
    """Answer around all that was put around the application before."""
    if app.config["METRICS"]:
        app.wsgi_app = beside(app.wsgi_app)  # type: ignore[assignment, method-assign]


def beside(application: Application) -> Application:
    """Return the application with the page beside it."""

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or environ["REQUEST_METHOD"] != "GET" or "HTTP_X_FORWARDED_FOR" in environ:
            return application(environ, start_response)
        page = generate_latest(metrics.book)
        headers = [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4), ("Content-Length", str(len(page)))]
        start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
        return [page]

    return answer
