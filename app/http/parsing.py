"""Request bodies and queries: strict reading, so that whatever is sent gets a clear answer and never a 500."""

import json
from typing import Any

from flask import Request
from marshmallow import RAISE
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from app.http.errors import Problem

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


class StrictParser(FlaskParser):
    """Reads JSON of the right media type, refuses unknown fields everywhere."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - webargs' signature
        """Return the body's value; raise a Problem: 415 for another media type, 400 for what is not JSON."""
        accepted = (MERGE_PATCH, JSON) if req.method == "PATCH" else (JSON,)
        if req.mimetype not in accepted:
            headers = {"Accept-Patch" if req.method == "PATCH" else "Accept": ", ".join(accepted)}
            raise Problem(415, f"Send the body as {' or '.join(accepted)}.", headers=headers)
        body = req.get_data()
        if req.content_length is None and len(body) == req.max_content_length:
            raise RequestEntityTooLarge  # Werkzeug cuts a body in chunks off at the limit, and says nothing
        return parse(body)


def parse(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259); raise a Problem with status 400 that says what is wrong with it."""
    try:
        return json.loads(body.decode(), parse_constant=_not_json)
    except UnicodeDecodeError:
        raise _unreadable("Is not UTF-8.") from None
    except RecursionError:
        raise _unreadable("Is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"{error.msg}, line {error.lineno} column {error.colno}.") from None
    except ValueError as error:  # a number of more digits than Python converts
        raise _unreadable(str(error).partition(";")[0]) from None


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _unreadable(detail: str) -> Problem:
    return Problem(400, "The body is not JSON.", [{"in": "body", "field": "", "detail": detail}])
