"""Error tracking: off unless SENTRY_DSN is set. An event is an exception that nobody handled, with the request's id.

A line that is logged makes none: a backend that is away is a line for each request, and would be a flood of events.
Neither personal data nor a secret is in one. The client is made before the fork; its thread starts in each worker with
the worker's first event, and what waits in its queue when the server stops is still sent.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, g, got_request_exception, request

from app.observability.redaction import HIDDEN, chain, describe, redact

OFF = {"mode": "off"}
NOTHING = {
    "user_info": False,
    "cookies": OFF,
    "http_headers": {"request": OFF},  # Referer has the query string of the page before
    "http_bodies": [],
    "url_query_params": OFF,
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,  # a frame's locals hold passwords and database URLs
}
UNTRACED = ("/health", "/metrics")
QUOTING = ("psycopg2", "sqlalchemy", "redis")  # packages whose exceptions quote values
# Events at once and then a second, of one process: making one takes as long as ten requests, and a flood of the same
# fault says nothing new.
BURST, RATE = 50, 2.0
FAREWELL = 5  # seconds a stopping worker waits for Sentry; Gunicorn allows it 30 in all


def init_app(app: Flask) -> None:
    """Start the Sentry client when it is configured. The import alone costs a third of a start, so it waits."""
    if not app.config["SENTRY_DSN"]:
        return
    import sentry_sdk  # noqa: PLC0415

    traced = app.config["SENTRY_TRACES_SAMPLE_RATE"] > 0
    sentry_sdk.init(**options(app.config), integrations=_integrations(traced=traced))
    app.extensions["sentry_allowance"] = Allowance(BURST, RATE)
    got_request_exception.connect(_capture, app)
    if traced:
        from sentry_sdk.integrations.flask import _capture_exception  # noqa: PLC0415

        got_request_exception.disconnect(_capture_exception)  # or each event would be there twice, and without a bound
        app.before_request(lambda: sentry_sdk.get_isolation_scope().set_tag("request_id", g.request_id))


def options(config: dict[str, Any]) -> dict[str, Any]:
    """Return sentry_sdk.init's arguments; each default that could send a secret is turned off."""
    rate = config["SENTRY_TRACES_SAMPLE_RATE"]
    return {
        "dsn": config["SENTRY_DSN"],
        "release": config["RELEASE"],
        "environment": config["ENVIRONMENT"],
        "data_collection": NOTHING,
        "before_send": _discreet,
        "before_send_transaction": _without_query_string,
        "traces_sampler": (lambda context: _sample(context, rate)) if rate else None,
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "auto_session_tracking": False,
        "shutdown_timeout": FAREWELL,
    }


def _integrations(*, traced: bool) -> list[Any]:
    """Return what hooks into other packages: without traces nothing does, and a request that is well costs nothing.

    With Flask's a request takes four times as long (Sentry's scopes and a middleware), whatever is sampled.
    """
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415

    quiet = AtexitIntegration(callback=lambda _pending, _timeout: None)
    if not traced:
        return [quiet]
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.flask import FlaskIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.redis import RedisIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration  # noqa: PLC0415

    return [quiet, DedupeIntegration(), FlaskIntegration(), SqlalchemyIntegration(), RedisIntegration()]


class Allowance:
    """So many at once, and so many a second after that."""

    def __init__(self, burst: int, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst, self.rate, self.clock = burst, rate, clock
        self.left, self.seen = float(burst), clock()
        self.lock = threading.Lock()

    def take(self) -> bool:
        """Whether there is one left, and take it."""
        with self.lock:
            now = self.clock()
            self.left, self.seen = min(self.burst, self.left + (now - self.seen) * self.rate), now
            if self.left < 1:
                return False
            self.left -= 1
            return True


def _capture(app: Flask, exception: BaseException, **_: Any) -> None:
    """Send the exception that Flask is about to answer with 500."""
    if not app.extensions["sentry_allowance"].take():
        return
    import sentry_sdk  # noqa: PLC0415

    with sentry_sdk.new_scope() as scope:
        scope.set_tag("request_id", g.get("request_id"))
        scope.set_transaction_name(request.endpoint or "unmatched", source="component")
        scope.add_event_processor(_with_request)
        scope.capture_exception(exception)


def _with_request(event: Any, _hint: Any) -> Any:
    event["request"] = {"method": request.method, "url": request.base_url}
    return event


def _discreet(event: Any, hint: Any) -> Any:
    """Say of an exception what the log says too."""
    told = {str(error): describe(error) for error in chain(hint.get("exc_info", (None, None))[1])}
    for value in event.get("exception", {}).get("values", ()):
        said, package = value.get("value") or "", (value.get("module") or "").partition(".")[0]
        value["value"] = told.get(said) or (HIDDEN if package in QUOTING else redact(said))
    return _without_query_string(event, hint)


def _without_query_string(event: Any, _hint: Any) -> Any:
    """Drop the query string, where reset tokens and the like travel."""
    asked = event.get("request", {})
    asked.pop("query_string", None)
    if "url" in asked:
        asked["url"] = asked["url"].partition("?")[0]
    return event


def _sample(context: dict[str, Any], rate: float) -> float:
    path = context.get("wsgi_environ", {}).get("PATH_INFO", "")
    return 0.0 if path.startswith(UNTRACED) else rate
