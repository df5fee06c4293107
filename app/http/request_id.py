"""The request id: from a trusted proxy, else from the trace, else random."""

import re
import secrets

from flask import Flask, current_app, g, request

from app.observability import tracing

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def init_app(app: Flask) -> None:
    """Set the id before any hook that logs it."""
    app.before_request(_set_request_id)


def _set_request_id() -> None:
    """Accept the id of a trusted proxy; any other client could forge ids. Log lines contain both ids if they differ."""
    given = request.headers.get(HEADER, "") if current_app.config["TRUSTED_PROXIES"] else ""
    trace_id = tracing.current_trace_id()
    g.request_id = given if WELL_FORMED.fullmatch(given) else trace_id or secrets.token_hex(16)
    if trace_id:
        g.trace_id = trace_id
