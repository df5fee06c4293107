"""Makes Schemathesis a client of this application: what it sends, the application itself could see."""

import re
import uuid
from urllib.parse import urlencode

import schemathesis

KEY = "Idempotency-Key"
LONGEST = 7000  # bytes of a query; Gunicorn refuses a request line over 8,190 by itself, before the application


@schemathesis.hook
def before_call(_context, case, _kwargs) -> None:
    """Take a new Idempotency-Key for each new request, as clients must; bad ones are sent as they are."""
    if re.fullmatch(r"[!-~]{1,255}", str((case.headers or {}).get(KEY, ""))):
        case.headers[KEY] = uuid.uuid4().hex


@schemathesis.hook
def filter_case(_context, case) -> bool:
    """Leave out what never reaches the application."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < LONGEST
