"""Error responses: RFC 9457 problem documents that contain the request id and no secret."""

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

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = 2  # seconds; roughly the time that a backend needs to restart
# Errors that a retry may fix. Postgres raises InternalError while it is read-only, such as a standby before its
# promotion.
UNAVAILABLE = (DatabaseUnavailableError, CircuitOpenError, PoolTimeoutError, OperationalError, InternalError)
REPLACED_HEADERS = {"content-type", "content-length"}  # they describe Werkzeug's HTML page
FIELD_LOCATIONS = {"json": "body", "query": "query", "headers": "header"}  # webargs' name: `in` of a field error

log = logging.getLogger(__name__)


class Problem(HTTPException):
    """An error response: its status, a sentence for the reader, and the invalid fields (see `field_error`)."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.errors = list(errors)
        self.headers = headers or {}

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        """Return the headers of this error."""
        return list(self.headers.items())


def field_error(location: str, field: str, detail: str) -> dict[str, str]:
    """Describe an invalid field; LOCATION is body, query, header or path."""
    return {"in": location, "field": field, "detail": detail}


def init_app(app: Flask) -> None:
    """Convert each exception to a problem document; an unavailable backend is a 503, never a 500."""
    app.log_exception = _log_exception  # type: ignore[method-assign]
    app.register_error_handler(HTTPException, handle_http_exception)
    for error in UNAVAILABLE:
        app.register_error_handler(error, _handle_unavailable)


def _log_exception(exc_info: Any) -> None:
    """Log an unhandled exception once, with the request that caused it."""
    where = {"method": request.method, "path": request.path, "route": request.url_rule and request.url_rule.rule}
    log.error("unhandled %s", type(exc_info[1]).__name__, exc_info=exc_info, extra=where)


def handle_http_exception(error: HTTPException) -> Response:
    """Return the problem document for an HTTP error; a redirect passes unchanged."""
    status = error.code or 500
    if status < 400:
        return error.get_response()  # type: ignore[return-value]
    detail = "The server failed. Its log has the reason under the request id." if status == 500 else error.description
    errors = getattr(error, "errors", ()) or _validation_errors(getattr(error, "data", {}))
    headers = {k: v for k, v in error.get_headers(request.environ) if k.lower() not in REPLACED_HEADERS}
    return problem_response(status, detail or "", errors, headers)


def _handle_unavailable(error: Exception) -> Response:
    """Return 503 for a backend that is unavailable, overloaded, or cancelled a slow statement."""
    reason = getattr(error, "orig", None) or error
    log.error("backend unavailable: %s: %s", type(error).__name__, describe(reason).partition("\n")[0])
    headers = {"Retry-After": str(RETRY_AFTER)}
    return problem_response(503, "A backend is unavailable or overloaded. Try again later.", headers=headers)


def problem_response(
    status: int, detail: str, errors: Iterable[Mapping[str, str]] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Unknown Error"),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "request_id": g.get("request_id"),
    }
    if errors := list(errors):
        body["errors"] = errors
    return Response(json.dumps(body), status, headers, content_type=PROBLEM_JSON)


def _validation_errors(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Flatten webargs' messages, {location: {field: [text]}}, into one error for each text."""
    errors = []
    for location, messages in (data.get("messages") or {}).items():
        by_field = messages if isinstance(messages, dict) else {"": messages}
        for field, texts in by_field.items():
            errors += [
                field_error(FIELD_LOCATIONS.get(location, location), str(field), str(text)) for text in _flat(texts)
            ]
    return errors


def _flat(texts: Any) -> list[Any]:
    if isinstance(texts, dict):
        return [text for nested in texts.values() for text in _flat(nested)]
    return list(texts) if isinstance(texts, list) else [texts]
