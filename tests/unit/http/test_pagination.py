"""Cursors: what was encoded is decoded, and nothing else gets through."""

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
PLACES = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.sampled_from([name, f"-{name}"]), VALUES[name], st.integers(0, MAX_ID))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(list(READERS)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


def made_of(value):
    """Return the text that `encode` would make of a value of its own."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@given(place=PLACES)
def test_round_trip(place):
    """A cursor leads back to the value and the id that it was made of, for every sort."""
    sort, value, row_id = place
    assert decode(encode(sort, value, row_id), sort) == (value, row_id)


@given(place=PLACES)
def test_fits_into_a_url(place):
    """A cursor needs no escaping in a query string."""
    assert encode(*place).replace("-", "a").replace("_", "a").isalnum()


@given(text=st.text(st.characters()), sort=st.sampled_from(sorted(READERS)))
def test_any_text(text, sort):
    """A text that is no cursor raises CursorError and nothing else."""
    with pytest.raises(CursorError):
        decode(text, sort)


@given(value=JSON, sort=st.sampled_from(sorted(READERS)))
def test_any_json(value, sort):
    """A text that is made like a cursor, of something else, raises no other error either."""
    with suppress(CursorError):
        assert decode(made_of(value), sort) == (value[1], value[2])  # by chance it was one


@given(plain=JSON, row_id=JSON, sort=st.sampled_from(sorted(READERS)))
def test_any_parts(plain, row_id, sort):
    """Whatever stands in the place of value and id, the answer is a place in the list or CursorError."""
    try:
        value, number = decode(made_of([sort, plain, row_id]), sort)
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
    """What the database could not compare with is refused before it is asked."""
    with pytest.raises(CursorError):
        decode(made_of(parts), parts[0])


@pytest.mark.parametrize(
    "cursor", ["", "!!!", "é", "W10", "bnVsbA", "[" * 500, made_of(json.loads("[" * 90 + "]" * 90))]
)
def test_garbage(cursor):
    """Nothing, blanks, other scripts, other JSON and deep JSON are no cursors."""
    with pytest.raises(CursorError):
        decode(cursor, "name")


def test_deep_json():
    """A text that exhausts the parser is no cursor either."""
    with pytest.raises(CursorError):
        decode(base64.urlsafe_b64encode(b"[" * 100_000).decode(), "name")


@pytest.mark.parametrize(("made_for", "used_for"), [("name", "-name"), ("price", "name"), ("-price", "price")])
def test_of_another_sort(made_for, used_for):
    """A cursor of the list in another order is refused, for it names no place in this one."""
    with pytest.raises(CursorError):
        decode(encode(made_for, {"name": "a", "price": 1}[made_for.removeprefix("-")], 1), used_for)


def test_says_which_sort():
    """The refusal says which order the cursor belongs to."""
    with pytest.raises(CursorError, match=r"^Was made for sort=-name, not sort=name\.$"):
        decode(encode("-name", "a", 1), "name")


def test_times_are_utc():
    """A time in another zone is the same moment in UTC: SQLite compares texts."""
    moment, _ = decode(made_of(["created_at", "2026-01-01T02:00:00+02:00", 1]), "created_at")
    assert (moment.tzinfo, moment.hour) == (UTC, 0)
