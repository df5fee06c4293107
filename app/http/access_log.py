"""Every request has one id, which is in its answer and in each line logged for it, and one line that sums it up."""

import logging
import re
import secrets
import time

from flask import Flask, Response, current_app, g, request

HEADER = "X-Request-ID"
RELEASE_HEADER = "X-Release"  # for the access log of the proxy in front, which keeps it for itself
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")

log = logging.getLogger("app.request")


def init_app(app: Flask) -> None:
    """Registered first, so that `_begin` runs before every other hook; `_end` runs after all, also where one failed."""
    app.before_request(_begin)
    finalize = app.finalize_request
    app.finalize_request = lambda *how, **more: _end(finalize(*how, **more))  # type: ignore[method-assign]


def _begin() -> None:
    """Take the id that a trusted proxy gave, when it is one; anybody else's could forge or flood the log."""
    given = request.headers.get(HEADER, "") if current_app.config["TRUSTED_PROXIES"] else ""
    g.request_id = given if WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    """Send the id and the release; log what was asked and answered, never a query or a header, where secrets travel."""
    # Once each: every look through one of Flask's proxies takes longer than what is looked at.
    context, asked = g._get_current_object(), request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001
    response.headers[HEADER] = context.request_id
    response.headers[RELEASE_HEADER] = current_app.config["RELEASE"]
    if log.isEnabledFor(logging.INFO):
        seconds = time.perf_counter() - context.began
        method, path, status = asked.method, asked.path, response.status_code
        fields = {
            "method": method,
            "path": path,
            "route": asked.url_rule.rule if asked.url_rule else None,
            "status": status,
            "duration_s": round(seconds, 6),
            "bytes": response.content_length,
            "client": asked.remote_addr,
            "token": context.get("token_name"),
            "ids": (context.request_id, context.get("trace_id")),
        }
        log.info("%s %s %d %.2f ms", method, path, status, seconds * 1000, extra=fields)
    return response
