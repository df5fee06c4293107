"""Keyset pagination: a cursor holds the last row's sort value and id, so that page 10,000 costs as much as page 1."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

MAX_ID = 2**63 - 1


class CursorError(ValueError):
    """The text is not a cursor for this list in this order."""


def encode(sort: str, value: Any, row_id: int) -> str:
    """Return an opaque cursor for the position after the row with this sort value and id."""
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([sort, plain, row_id]).encode()).rstrip(b"=").decode()


def decode(cursor: str, sort: str) -> tuple[Any, int]:
    """Return the sort value and the id in a cursor for SORT; raise CursorError for any other text."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        cursor_sort, plain, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        value = READERS[sort.removeprefix("-")](plain)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise CursorError("Is not a cursor for this list.") from error
    if cursor_sort != sort:
        raise CursorError(f"Was made for sort={cursor_sort}, not sort={sort}.")
    if type(row_id) is not int or not 0 <= row_id <= MAX_ID:
        raise CursorError("Is not a cursor for this list.")
    return value, row_id


def _read_name(plain: Any) -> str:
    if not isinstance(plain, str) or "\0" in plain:
        raise ValueError(plain)
    plain.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return plain


def _read_price(plain: Any) -> int:
    if type(plain) is not int or not 0 <= plain <= MAX_ID:
        raise ValueError(plain)
    return plain


def _read_time(plain: Any) -> datetime:
    time = datetime.fromisoformat(plain)
    if time.tzinfo is None:
        raise ValueError(plain)
    return time.astimezone(UTC)  # raises OverflowError for a time in year 1 east of Greenwich


READERS: dict[str, Callable[[Any], Any]] = {"name": _read_name, "price": _read_price, "created_at": _read_time}
