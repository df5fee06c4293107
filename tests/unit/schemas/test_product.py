"""Validation and rendering of products."""

from datetime import UTC
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.http.parsing import parse
from app.models.product import MAX_PRICE
from app.schemas.currencies import CURRENCIES
from app.schemas.product import Product, ProductChange, ProductInput, render

MUG = {"sku": "MUG-1", "name": "Blue mug", "description": "Holds 30 cl.", "price": 1250, "currency": "EUR"}
POSITIVE = {"min_value": 1, "max_value": 2**63 - 1}
ROWS = st.builds(
    SimpleNamespace,
    **{name: st.text() for name in ("sku", "name", "description", "currency")},
    **{name: st.integers(**POSITIVE) for name in ("id", "price", "version")},
    **{name: st.datetimes(timezones=st.just(UTC)) for name in ("created_at", "updated_at")},
)


def invalid_fields(schema=ProductInput, **fields):
    """Return the names of the invalid fields of a mug with these changes."""
    with pytest.raises(ValidationError) as raised:
        schema().load(MUG | fields)
    return sorted(raised.value.messages)


def test_valid_product():
    """A valid product loads unchanged."""
    assert ProductInput().load(MUG) == MUG


def test_required_fields():
    """Only the description is optional; it defaults to an empty text."""
    assert ProductInput().load({**MUG, "description": ""}) == ProductInput().load(
        {name: value for name, value in MUG.items() if name != "description"}
    )
    with pytest.raises(ValidationError) as raised:
        ProductInput().load({})
    assert sorted(raised.value.messages) == ["currency", "name", "price", "sku"]


@pytest.mark.parametrize("name", ["id", "version", "created_at", "", "Name", "__class__", "\ud800"])
def test_unknown_field(name):
    """An unknown field is an error that names it, so that a typo is not ignored."""
    assert invalid_fields(**{name: 1}) == [name]


CONTROL = ["a\0b", "\0", "a\x1bb", "a\x07", "a\x7fb", "\ud800", "a\udfffb"]
LINES = ["Mug\n", "\nMug", "a\rb", "a\tb", "", "x" * 201]
NON_STRINGS = [1, 1.5, True, [], {}, ["Mug"]]


@pytest.mark.parametrize("value", [*CONTROL, *LINES, *NON_STRINGS, None])
def test_name(value):
    """A name rejects control characters, lone surrogates and newlines, including at its end."""
    assert invalid_fields(name=value) == ["name"]


@pytest.mark.parametrize("value", [*CONTROL, "a\x0cb", "x" * 5001, *NON_STRINGS, None])
def test_description(value):
    """A description rejects control characters and lone surrogates."""
    assert invalid_fields(description=value) == ["description"]


@pytest.mark.parametrize("value", ["two\nlines\r\n\tand a tab", "x" * 5000, "", "𝄞 é 漢字"])
def test_valid_description(value):
    """A description accepts newlines, tabs and every script."""
    assert ProductInput().load(MUG | {"description": value})["description"] == value


@pytest.mark.parametrize("value", ["", "A" * 65, "-A", "A B", "A\n", "Ä", "A/B", "A\0", *NON_STRINGS, None])
def test_sku(value):
    """A SKU rejects anything but 1 to 64 letters, digits, dots, hyphens and underscores."""
    assert invalid_fields(sku=value) == ["sku"]


@pytest.mark.parametrize("value", ["A", "9", "A" * 64, "a.b-c_d"])
def test_valid_sku(value):
    """A SKU accepts the limits of its length and characters."""
    assert ProductInput().load(MUG | {"sku": value})["sku"] == value


BAD_PRICES = [
    "-1",
    "1000000000001",
    "1.5",
    "1e999",
    "-1e999",
    "1e300",
    '"1250"',
    '""',
    "true",
    "false",
    "null",
    "[1]",
    "{}",
]


@pytest.mark.parametrize("text", [*BAD_PRICES, "9" * 4000])
def test_price(text):
    """A price rejects strings, booleans, fractions, infinity and numbers out of range."""
    assert invalid_fields(price=parse(text.encode())) == ["price"]


@pytest.mark.parametrize(("text", "value"), [("0", 0), (str(MAX_PRICE), MAX_PRICE), ("1250.0", 1250), ("1e3", 1000)])
def test_valid_price(text, value):
    """A price accepts its bounds and exponents."""
    price = ProductInput().load(MUG | {"price": parse(text.encode())})["price"]
    assert (price, type(price)) == (value, int)


@pytest.mark.parametrize("value", ["eur", "EURO", "XXX", "EUR\n", "", "DEM", 978, None, ["EUR"]])
def test_currency(value):
    """A currency rejects anything but an active ISO 4217 code in capitals."""
    assert invalid_fields(currency=value) == ["currency"]


def test_currencies():
    """The list contains the major currencies, and each code is three capitals."""
    assert {"EUR", "USD", "GBP", "JPY", "CHF", "CNY", "INR"} <= CURRENCIES
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)


@pytest.mark.parametrize("body", [None, [], [MUG], "text", 1, True])
def test_not_an_object(body):
    """A body that is not an object is invalid."""
    with pytest.raises(ValidationError):
        ProductInput().load(body)


def test_merge_patch():
    """A merge patch contains only the given fields, and no defaults."""
    assert ProductChange().load({"price": 5}) == {"price": 5}
    assert ProductChange().load({}) == {}


def test_null_description():
    """A null description loads as an empty one and leaves the input unchanged."""
    body = {"description": None}
    assert ProductChange().load(body) == {"description": ""}
    assert body == {"description": None}


@pytest.mark.parametrize("name", ["sku", "name", "price", "currency"])
def test_null_in_a_required_field(name):
    """Required fields reject null."""
    assert invalid_fields(ProductChange, **{name: None}) == [name]


@pytest.mark.parametrize("fields", [{"price": "1"}, {"name": "a\n"}, {"version": 2}])
def test_invalid_merge_patch(fields):
    """A merge patch has the same validation as a product."""
    assert invalid_fields(ProductChange, **fields) == list(fields)


@pytest.mark.parametrize("body", [None, [], "text", [{"price": 1}]])
def test_merge_patch_is_an_object(body):
    """A merge patch that is not an object is invalid."""
    with pytest.raises(ValidationError):
        ProductChange().load(body)


@given(row=ROWS)
def test_render(row):
    """render() returns the same as Product().dump()."""
    assert render(row) == Product().dump(row)
