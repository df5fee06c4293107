"""Errors: every one is an RFC 9457 problem document that carries the request's id and no secret."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from app.db.circuit_breaker import CircuitOpenError
from app.db.session import DatabaseUnavailableError
from app.observability.redaction import describe

RETRY_AFTER = 2  # seconds; about what a restarted backend needs
# Not a fault of the request, nor of the code. InternalError: a server that only reads, as a standby does until it is
# made the primary.
AWAY = (DatabaseUnavailableError, CircuitOpenError, PoolTimeoutError, OperationalError, InternalError)
NOT_OURS = {"content-type", "content-length"}

log = logging.getLogger(__name__)


class Problem(HTTPException):
    """An answer that is an error: its status, a sentence for the reader, and the fields that were wrong.

    FIELDS are mappings with `in` (body, query, header or path), `field` and `detail`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        fields: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.fields = list(fields)
        self.extra_headers = headers or {}

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        """Return the headers that belong to this answer alone."""
        return list(self.extra_headers.items())


def init_app(app: Flask) -> None:
    """Answer every exception with a problem document; a backend that is away is a 503, never a 500."""
    app.log_exception = _log_exception  # type: ignore[method-assign]
    app.register_error_handler(HTTPException, _from_http)
    for away in AWAY:
        app.register_error_handler(away, _from_backend)


def _log_exception(exc_info: Any) -> None:
    """Log what nobody has handled, once, with what it takes to find the request and the code."""
    where = {"method": request.method, "path": request.path, "route": request.url_rule and request.url_rule.rule}
    log.error("unhandled %s", type(exc_info[1]).__name__, exc_info=exc_info, extra=where)


def _from_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return error.get_response()  # type: ignore[return-value]
    detail = "The server failed. The request id finds the reason in the log." if status == 500 else error.description
    headers = {k: v for k, v in error.get_headers(request.environ) if k.lower() not in NOT_OURS}
    return problem(status, detail or "", getattr(error, "fields", ()) or _fields(getattr(error, "data", {})), headers)


def _from_backend(error: Exception) -> Response:
    """Answer for a backend that is away, overloaded, or gave up on a statement that took too long."""
    reason = getattr(error, "orig", None) or error
    log.error("a backend failed: %s: %s", type(error).__name__, describe(reason).partition("\n")[0])
    return problem(503, "A backend is away or overloaded. Try again.", headers={"Retry-After": str(RETRY_AFTER)})


def problem(
    status: int, detail: str, fields: Iterable[Mapping[str, str]] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document (RFC 9457) as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Unknown Error"),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "request_id": g.get("request_id"),
    }
    if fields := list(fields):
        body["errors"] = fields
    return Response(json.dumps(body), status, headers, content_type="application/problem+json")


def _fields(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Flatten webargs' messages, {location: {field: [text]}}, into one row for each text."""
    places = {"json": "body", "query": "query", "headers": "header"}
    rows = []
    for location, messages in (data.get("messages") or {}).items():
        named = messages if isinstance(messages, dict) else {"": messages}
        for name, texts in named.items():
            rows += [{"in": places.get(location, location), "field": str(name), "detail": str(t)} for t in _flat(texts)]
    return rows


def _flat(texts: Any) -> list[Any]:
    if isinstance(texts, dict):
        return [text for nested in texts.values() for text in _flat(nested)]
    return list(texts) if isinstance(texts, list) else [texts]
