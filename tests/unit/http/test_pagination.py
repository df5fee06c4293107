"""Cursors: decoding inverts encoding and rejects every other text."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.pagination import MAX_ID, READERS, CursorError, decode, encode

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
VALUES = {
    "name": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "price": st.integers(0, MAX_ID),
    "created_at": st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001 - hypothesis wants naive limits
}
POSITIONS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.sampled_from([name, f"-{name}"]), VALUES[name], st.integers(0, MAX_ID))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(list(READERS)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


def encoded(value):
    """Encode any value as `encode` does."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@given(position=POSITIONS)
def test_round_trip(position):
    """A cursor decodes to its value and id in every order."""
    sort, value, row_id = position
    assert decode(encode(sort, value, row_id), sort) == (value, row_id)


@given(position=POSITIONS)
def test_url_safe(position):
    """A cursor does not need escaping in a query string."""
    assert encode(*position).replace("-", "a").replace("_", "a").isalnum()


@given(text=st.text(st.characters()), sort=st.sampled_from(sorted(READERS)))
def test_any_text(text, sort):
    """Any other text raises CursorError."""
    with pytest.raises(CursorError):
        decode(text, sort)


@given(value=JSON, sort=st.sampled_from(sorted(READERS)))
def test_any_json(value, sort):
    """An encoded JSON value decodes as a cursor or raises CursorError."""
    with suppress(CursorError):
        assert decode(encoded(value), sort) == (value[1], value[2])  # a valid cursor by chance


@given(plain=JSON, row_id=JSON, sort=st.sampled_from(sorted(READERS)))
def test_any_parts(plain, row_id, sort):
    """Any value and id decode to a position in the list or raise CursorError."""
    try:
        value, number = decode(encoded([sort, plain, row_id]), sort)
    except CursorError:
        return
    assert 0 <= number <= MAX_ID
    assert type(value) in {str, int, datetime}


BAD_PARTS = {
    "huge price": ["price", 2**63, 1],
    "negative price": ["price", -1, 1],
    "fraction": ["price", 1.0, 1],
    "boolean price": ["price", True, 1],
    "boolean id": ["name", "a", True],
    "huge id": ["name", "a", 2**63],
    "negative id": ["name", "a", -1],
    "NUL": ["name", "a\0b", 1],
    "surrogate": ["name", "\ud800", 1],
    "number as name": ["name", 1, 1],
    "naive time": ["created_at", "2026-01-01T00:00:00", 1],
    "no time": ["created_at", "yesterday", 1],
    "before the calendar": ["created_at", "0001-01-01T00:00:00+23:59", 1],
    "after the calendar": ["created_at", "9999-12-31T23:59:59-23:59", 1],
    "too few": ["name", "a"],
    "too many": ["name", "a", 1, 1],
}


@pytest.mark.parametrize("parts", BAD_PARTS.values(), ids=BAD_PARTS)
def test_bad_parts(parts):
    """A value that the database cannot compare raises CursorError."""
    with pytest.raises(CursorError):
        decode(encoded(parts), parts[0])


@pytest.mark.parametrize(
    "cursor", ["", "!!!", "é", "W10", "bnVsbA", "[" * 500, encoded(json.loads("[" * 90 + "]" * 90))]
)
def test_garbage(cursor):
    """Empty, non-base64, non-ASCII, other and nested JSON texts raise CursorError."""
    with pytest.raises(CursorError):
        decode(cursor, "name")


def test_deep_json():
    """A text that exhausts the parser raises CursorError."""
    with pytest.raises(CursorError):
        decode(base64.urlsafe_b64encode(b"[" * 100_000).decode(), "name")


@pytest.mark.parametrize(("made_for", "used_for"), [("name", "-name"), ("price", "name"), ("-price", "price")])
def test_cursor_of_another_order(made_for, used_for):
    """A cursor for another order raises CursorError."""
    with pytest.raises(CursorError):
        decode(encode(made_for, {"name": "a", "price": 1}[made_for.removeprefix("-")], 1), used_for)


def test_error_contains_the_order():
    """The error contains the order that the cursor belongs to."""
    with pytest.raises(CursorError, match=r"^Was made for sort=-name, not sort=name\.$"):
        decode(encode("-name", "a", 1), "name")


def test_times_are_utc():
    """A decoded time is in UTC, because SQLite compares texts."""
    moment, _ = decode(encoded(["created_at", "2026-01-01T02:00:00+02:00", 1]), "created_at")
    assert (moment.tzinfo, moment.hour) == (UTC, 0)
