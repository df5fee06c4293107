"""Sentry: one event per unhandled exception in a request, with the request id. Off unless SENTRY_DSN is set.

Log lines create no events: an unavailable backend logs a line per request and would flood Sentry. Events contain
neither personal data nor secrets. The client is created before the fork; its thread starts in each worker with the
first event, and the events in its queue are sent when the worker stops.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, g, got_request_exception, request

from app.observability.redaction import REDACTED, describe, exception_chain, redact

OFF = {"mode": "off"}
NO_DATA_COLLECTION = {
    "user_info": False,
    "cookies": OFF,
    "http_headers": {"request": OFF},  # Referer contains the query string of the previous page
    "http_bodies": [],
    "url_query_params": OFF,
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,  # local variables contain passwords and database URLs
}
UNTRACED_PATHS = ("/health", "/metrics")
QUOTING_PACKAGES = ("psycopg2", "sqlalchemy", "redis")  # their exceptions quote values
# Per process. Creating an event takes as long as ten requests, and repeated events add no information.
EVENT_BURST, EVENTS_PER_SECOND = 50, 2.0
SHUTDOWN_TIMEOUT_S = 5  # Gunicorn's graceful_timeout is 30


def init_app(app: Flask) -> None:
    """Start the Sentry client. The import takes a third of the start-up time, so it waits until it is needed."""
    if not app.config["SENTRY_DSN"]:
        return
    import sentry_sdk  # noqa: PLC0415

    is_traced = app.config["SENTRY_TRACES_SAMPLE_RATE"] > 0
    sentry_sdk.init(**options(app.config), integrations=_integrations(is_traced=is_traced))
    app.extensions["sentry_events"] = TokenBucket(EVENT_BURST, EVENTS_PER_SECOND)
    got_request_exception.connect(_capture_exception, app)
    if is_traced:
        app.before_request(_describe_transaction)


def add_middleware(app: Flask) -> None:
    """Create a transaction for each request, if Sentry traces requests."""
    if app.config["SENTRY_DSN"] and app.config["SENTRY_TRACES_SAMPLE_RATE"] > 0:
        from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware  # noqa: PLC0415

        app.wsgi_app = SentryWsgiMiddleware(app.wsgi_app)  # type: ignore[method-assign]


def options(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of sentry_sdk.init; every default that could send a secret is off."""
    rate = config["SENTRY_TRACES_SAMPLE_RATE"]
    return {
        "dsn": config["SENTRY_DSN"],
        "release": config["RELEASE"],
        "environment": config["ENVIRONMENT"],
        "data_collection": NO_DATA_COLLECTION,
        "before_send": _redact_event,
        "before_send_transaction": _remove_query_string,
        "traces_sampler": (lambda context: _sample_rate(context, rate)) if rate else None,
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "auto_session_tracking": False,
        "shutdown_timeout": SHUTDOWN_TIMEOUT_S,
    }


def _integrations(*, is_traced: bool) -> list[Any]:
    """Return the integrations. Without traces none hooks into a request, so a successful request costs nothing."""
    from sentry_sdk.integrations.atexit import AtexitIntegration  # noqa: PLC0415

    quiet_exit = AtexitIntegration(callback=lambda _pending, _timeout: None)
    if not is_traced:
        return [quiet_exit]
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.redis import RedisIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration  # noqa: PLC0415

    return [quiet_exit, DedupeIntegration(), SqlalchemyIntegration(), RedisIntegration()]


class TokenBucket:
    """Limit events to a burst, then to a rate per second."""

    def __init__(self, burst: int, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst, self.rate, self.clock = burst, rate, clock
        self.tokens, self.updated_at = float(burst), clock()
        self.lock = threading.Lock()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        with self.lock:
            now = self.clock()
            self.tokens = min(self.burst, self.tokens + (now - self.updated_at) * self.rate)
            self.updated_at = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True


def _describe_transaction() -> None:
    import sentry_sdk  # noqa: PLC0415

    scope = sentry_sdk.get_isolation_scope()
    scope.set_tag("request_id", g.request_id)
    sentry_sdk.get_current_scope().set_transaction_name(request.endpoint or "unmatched", source="component")


def _capture_exception(app: Flask, exception: BaseException, **_: Any) -> None:
    """Send the exception that Flask turns into a 500 response."""
    if not app.extensions["sentry_events"].take():
        return
    import sentry_sdk  # noqa: PLC0415

    with sentry_sdk.new_scope() as scope:
        scope.set_tag("request_id", g.get("request_id"))
        scope.set_transaction_name(request.endpoint or "unmatched", source="component")
        scope.add_event_processor(_add_request)
        scope.capture_exception(exception)


def _add_request(event: Any, _hint: Any) -> Any:
    event["request"] = {"method": request.method, "url": request.base_url}
    return event


def _redact_event(event: Any, hint: Any) -> Any:
    """Replace exception messages by what the log contains."""
    descriptions = {str(error): describe(error) for error in exception_chain(hint.get("exc_info", (None, None))[1])}
    for value in event.get("exception", {}).get("values", ()):
        message, package = value.get("value") or "", (value.get("module") or "").partition(".")[0]
        value["value"] = descriptions.get(message) or (REDACTED if package in QUOTING_PACKAGES else redact(message))
    return _remove_query_string(event, hint)


def _remove_query_string(event: Any, _hint: Any) -> Any:
    """Remove the query string, which may contain tokens."""
    details = event.get("request", {})
    details.pop("query_string", None)
    if "url" in details:
        details["url"] = details["url"].partition("?")[0]
    return event


def _sample_rate(context: dict[str, Any], rate: float) -> float:
    path = context.get("wsgi_environ", {}).get("PATH_INFO", "")
    return 0.0 if path.startswith(UNTRACED_PATHS) else rate
