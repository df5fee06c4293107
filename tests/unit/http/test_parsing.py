"""Strict parsing of JSON bodies."""

import json
from contextlib import suppress

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from app.http.errors import Problem
from app.http.parsing import StrictParser, parse

INVALID = {
    "empty": (b"", "Expecting value, line 1 column 1."),
    "blank": (b" \n", "Expecting value, line 2 column 1."),
    "cut off": (b'{"a": 1', "Expecting ',' delimiter, line 1 column 8."),
    "two values": (b"{} {}", "Extra data, line 1 column 4."),
    "NaN": (b'{"price": NaN}', "NaN is not JSON"),
    "Infinity": (b"[Infinity]", "Infinity is not JSON"),
    "-Infinity": (b"-Infinity", "-Infinity is not JSON"),
    "deep list": (b"[" * 100_000, "Is nested too deeply."),
    "deep object": (b'{"a":' * 100_000, "Is nested too deeply."),
    "huge integer": (b"9" * 5000, "Exceeds the limit (4300 digits)"),
    "Latin-1": ('"é"'.encode("latin-1"), "Is not UTF-8."),
    "UTF-16": ('"é"'.encode("utf-16"), "Is not UTF-8."),
    "half a character": ('"é"'.encode()[:2], "Is not UTF-8."),
    "byte order mark": ('"a"'.encode("utf-8-sig"), "Unexpected UTF-8 BOM (decode using utf-8-sig), line 1 column 1."),
    "control character": (b'"a\nb"', "Invalid control character at, line 1 column 3."),
    "form": (b"name=mug&price=1", "Expecting value, line 1 column 1."),
}


@pytest.mark.parametrize(("body", "detail"), INVALID.values(), ids=INVALID)
def test_invalid_json(body, detail):
    """Invalid JSON gets 400 with the reason and the position."""
    with pytest.raises(Problem) as raised:
        parse(body)
    assert (raised.value.code, raised.value.description) == (400, "The body is not JSON.")
    (error,) = raised.value.errors
    assert (error["in"], error["field"]) == ("body", "")
    assert error["detail"].startswith(detail)


@given(value=st.recursive(st.integers() | st.text(), st.lists, max_leaves=5))
def test_valid_json(value):
    """Valid JSON gives its value."""
    assert parse(json.dumps(value).encode()) == value


@given(body=st.binary())
def test_any_bytes(body):
    """Any bytes give a value or raise a Problem."""
    with suppress(Problem):
        parse(body)


class CountingField(fields.Integer):
    """Counts how often it validates."""

    calls = 0

    def _deserialize(self, *arguments, **options):
        CountingField.calls += 1
        return super()._deserialize(*arguments, **options)


class Query(Schema):
    """One parameter."""

    size = CountingField()


@pytest.mark.parametrize(("second", "calls"), [("size=1", 1), ("size=2", 2)])
def test_repeated_query_is_validated_once(monkeypatch, second, calls):
    """The parser validates each query once, and returns separate results."""
    monkeypatch.setattr(CountingField, "calls", 0)
    parser = StrictParser()
    results = []
    for query in ("size=1", second):
        with Flask("parsing").test_request_context(f"/?{query}"):
            results.append(parser.parse(Query, location="query"))
            results[-1]["modified"] = True
    assert (CountingField.calls, results[1]["size"]) == (calls, int(second[-1]))
    assert results[0] is not results[1]
