"""Validators and conditions of HTTP (RFC 9110): every representation has an ETag, and every change needs it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from app.http.errors import Problem

ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def json_answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return DATA as JSON with the ETag of its bytes."""
    body = ENCODE(data).encode()
    response = Response(body, status, headers, content_type="application/json")
    response.headers["ETag"] = etag_of(body)
    return response


def no_content() -> Response:
    """Return a 204, which has no body and so no type."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def etag_of(body: bytes) -> str:
    """Return a strong entity tag: the same bytes, the same tag, in every process and release."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def not_modified(response: Response) -> Response:
    """Turn a 200 into a 304 without a body if the client named this ETag in If-None-Match."""
    if "If-None-Match" in request.headers and response.status_code == 200:
        response.make_conditional(request)
    return response


def require_match(current: Any) -> None:
    """Refuse a change unless If-Match names the ETag of CURRENT, the representation now: 428 without, 412 if stale.

    A weak tag counts as the strong one: a proxy that compresses weakens it on the way out, and the client can only
    send back what it got.
    """
    if "If-Match" not in request.headers:
        fault = {"in": "header", "field": "If-Match", "detail": "Send the ETag that you last read, or *."}
        raise Problem(428, "A change must say which version it changes.", [fault])
    tag = json_answer(current).headers["ETag"].strip('"')
    if not request.if_match.contains_weak(tag):
        raise Problem(412, "It was changed meanwhile. Read it again, then decide.")
