"""Strict parsing of request bodies and query strings: bad input gets a precise 4xx, never a 500."""

import copy
import functools
import json
from typing import Any

from flask import Request, request
from marshmallow import RAISE
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from app.http.errors import Problem, field_error

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MAX_CACHED_QUERY = 256  # bytes


class StrictParser(FlaskParser):
    """Requires the right media type and rejects unknown fields."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def __init__(self) -> None:
        super().__init__()
        self._parse_query = functools.lru_cache(maxsize=256)(self._parse_query)  # type: ignore[method-assign]

    def parse(self, argmap: Any, req: Request | None = None, *, location: str | None = None, **options: Any) -> Any:
        """Validate a repeated query once, as validation costs more than a hit in the response cache.

        A query's schema must therefore depend on nothing but the query, and its values must not be modified.
        """
        if location != "query" or len(request.query_string) > MAX_CACHED_QUERY:
            return super().parse(argmap, req, location=location, **options)
        return copy.copy(self._parse_query(argmap, request.query_string, **options))

    def _parse_query(self, argmap: Any, _query: bytes, **options: Any) -> Any:
        return super().parse(argmap, location="query", **options)

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - webargs' signature
        """Return the parsed body; raise 415 for another media type, 400 for invalid JSON."""
        accepted = (MERGE_PATCH, JSON) if req.method == "PATCH" else (JSON,)
        if req.mimetype not in accepted:
            headers = {"Accept-Patch" if req.method == "PATCH" else "Accept": ", ".join(accepted)}
            raise Problem(415, f"Send the body as {' or '.join(accepted)}.", headers=headers)
        body = req.get_data()
        if req.content_length is None and len(body) == req.max_content_length:
            raise RequestEntityTooLarge  # Werkzeug truncates a chunked body at the limit without an error
        return parse(body)


def parse(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259); raise a 400 that gives the reason for invalid JSON."""
    try:
        return json.loads(body.decode(), parse_constant=_reject_constant)
    except UnicodeDecodeError:
        raise _invalid_json("Is not UTF-8.") from None
    except RecursionError:
        raise _invalid_json("Is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise _invalid_json(f"{error.msg}, line {error.lineno} column {error.colno}.") from None
    except ValueError as error:  # a number with more digits than Python converts
        raise _invalid_json(str(error).partition(";")[0]) from None


def _reject_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _invalid_json(detail: str) -> Problem:
    return Problem(400, "The body is not JSON.", [field_error("body", "", detail)])
