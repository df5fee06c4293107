"""Conditional requests (RFC 9110): every representation has an ETag, and every change requires If-Match."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from app.http.errors import Problem, field_error

encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return DATA as JSON with an ETag."""
    body = encode_json(data).encode()
    response = Response(body, status, headers, content_type="application/json")
    response.headers["ETag"] = compute_etag(body)
    return response


def no_content() -> Response:
    """Return a 204 without a content type."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def compute_etag(body: bytes) -> str:
    """Return a strong entity tag that depends on the bytes alone, so that every process and release agrees on it."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def evaluate_if_none_match(response: Response) -> Response:
    """Turn a 200 into a 304 if If-None-Match contains its ETag."""
    if "If-None-Match" in request.headers and response.status_code == 200:
        response.make_conditional(request)
    return response


def require_if_match(current: Any) -> None:
    """Raise 428 without If-Match, 412 if it does not contain the ETag of CURRENT, the current representation.

    The comparison is weak: a compressing proxy weakens the tag that the client receives and sends back.
    """
    if "If-Match" not in request.headers:
        missing = field_error("header", "If-Match", "Send the ETag that you last read, or *.")
        raise Problem(428, "A change requires an If-Match header.", [missing])
    etag = json_response(current).headers["ETag"].strip('"')
    if not request.if_match.contains_weak(etag):
        raise Problem(412, "The resource has changed. Read it again before you change it.")
