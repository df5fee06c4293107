"""Schemathesis hooks for this application."""

import re
import uuid
from urllib.parse import urlencode

import schemathesis

KEY = "Idempotency-Key"
MAX_QUERY = 7000  # bytes; Gunicorn rejects a request line over 8,190 before it reaches the application


@schemathesis.hook
def before_call(_context, case, _kwargs) -> None:
    """Set a new Idempotency-Key for each request; send invalid ones unchanged."""
    if re.fullmatch(r"[!-~]{1,255}", str((case.headers or {}).get(KEY, ""))):
        case.headers[KEY] = uuid.uuid4().hex


@schemathesis.hook
def filter_case(_context, case) -> bool:
    """Skip requests that never reach the application."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < MAX_QUERY
