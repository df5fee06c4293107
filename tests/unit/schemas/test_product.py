"""Products as they come in: each field is checked, and the refusal names it."""

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
FAR = {"min_value": 1, "max_value": 2**63 - 1}
ROWS = st.builds(
    SimpleNamespace,
    **{name: st.text() for name in ("sku", "name", "description", "currency")},
    **{name: st.integers(**FAR) for name in ("id", "price", "version")},
    **{name: st.datetimes(timezones=st.just(UTC)) for name in ("created_at", "updated_at")},
)


def wrong(schema=ProductInput, **fields):
    """Return the names of the fields that are refused when the mug has these."""
    with pytest.raises(ValidationError) as refusal:
        schema().load(MUG | fields)
    return sorted(refusal.value.messages)


def test_accepted():
    """A product that is right is taken as it is."""
    assert ProductInput().load(MUG) == MUG


def test_description_may_be_missing():
    """The description is empty by default; every other field must be there."""
    assert ProductInput().load({**MUG, "description": ""}) == ProductInput().load(
        {name: value for name, value in MUG.items() if name != "description"}
    )
    with pytest.raises(ValidationError) as refusal:
        ProductInput().load({})
    assert sorted(refusal.value.messages) == ["currency", "name", "price", "sku"]


@pytest.mark.parametrize("name", ["id", "version", "created_at", "", "Name", "__class__", "\ud800"])
def test_unknown_field(name):
    """A field that is not declared is refused by its name: a typing mistake must not be lost in silence."""
    assert wrong(**{name: 1}) == [name]


UNWRITABLE = ["a\0b", "\0", "a\x1bb", "a\x07", "a\x7fb", "\ud800", "a\udfffb"]
LINES = ["Mug\n", "\nMug", "a\rb", "a\tb", "", "x" * 201]
OTHER_TYPES = [1, 1.5, True, [], {}, ["Mug"]]


@pytest.mark.parametrize("value", [*UNWRITABLE, *LINES, *OTHER_TYPES, None])
def test_name(value):
    """A name is one line: no NUL, control character, half surrogate or line break, not even at its end."""
    assert wrong(name=value) == ["name"]


@pytest.mark.parametrize("value", [*UNWRITABLE, "a\x0cb", "x" * 5001, *OTHER_TYPES, None])
def test_description(value):
    """A description has no such characters either."""
    assert wrong(description=value) == ["description"]


@pytest.mark.parametrize("value", ["two\nlines\r\n\tand a tab", "x" * 5000, "", "𝄞 é 漢字"])
def test_description_is_text(value):
    """Line breaks and tabs belong to a text, and so does every script."""
    assert ProductInput().load(MUG | {"description": value})["description"] == value


@pytest.mark.parametrize("value", ["", "A" * 65, "-A", "A B", "A\n", "Ä", "A/B", "A\0", *OTHER_TYPES, None])
def test_sku(value):
    """A SKU is 1 to 64 letters, digits, dots, hyphens or underscores, and begins with one of the first two."""
    assert wrong(sku=value) == ["sku"]


@pytest.mark.parametrize("value", ["A", "9", "A" * 64, "a.b-c_d"])
def test_sku_accepted(value):
    """Up to the limits of that, it is taken."""
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
    """A price is a whole JSON number within its bounds: no text, boolean, fraction, or number without an end."""
    assert wrong(price=parse(text.encode())) == ["price"]


@pytest.mark.parametrize(("text", "value"), [("0", 0), (str(MAX_PRICE), MAX_PRICE), ("1250.0", 1250), ("1e3", 1000)])
def test_price_accepted(text, value):
    """The bounds belong to the range, and a number may be written with an exponent."""
    price = ProductInput().load(MUG | {"price": parse(text.encode())})["price"]
    assert (price, type(price)) == (value, int)


@pytest.mark.parametrize("value", ["eur", "EURO", "XXX", "EUR\n", "", "DEM", 978, None, ["EUR"]])
def test_currency(value):
    """A currency is an ISO 4217 code that is in use, in capitals."""
    assert wrong(currency=value) == ["currency"]


def test_currencies():
    """The list has what is traded, and every code of it is three capitals."""
    assert {"EUR", "USD", "GBP", "JPY", "CHF", "CNY", "INR"} <= CURRENCIES
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)


@pytest.mark.parametrize("body", [None, [], [MUG], "text", 1, True])
def test_no_object(body):
    """A body that is no object is refused as a whole."""
    with pytest.raises(ValidationError):
        ProductInput().load(body)


def test_change_of_one_field():
    """A merge patch changes what it names and nothing else: no default slips in."""
    assert ProductChange().load({"price": 5}) == {"price": 5}
    assert ProductChange().load({}) == {}


def test_null_takes_the_description_away():
    """Null means that the description goes; the body that was read is left as it was."""
    body = {"description": None}
    assert ProductChange().load(body) == {"description": ""}
    assert body == {"description": None}


@pytest.mark.parametrize("name", ["sku", "name", "price", "currency"])
def test_null_elsewhere(name):
    """What a product must have cannot be taken away."""
    assert wrong(ProductChange, **{name: None}) == [name]


@pytest.mark.parametrize("fields", [{"price": "1"}, {"name": "a\n"}, {"version": 2}])
def test_changes_are_checked(fields):
    """A merge patch is checked as strictly as a whole product."""
    assert wrong(ProductChange, **fields) == list(fields)


@pytest.mark.parametrize("body", [None, [], "text", [{"price": 1}]])
def test_change_is_an_object(body):
    """A patch that is no object is refused as a whole."""
    with pytest.raises(ValidationError):
        ProductChange().load(body)


@given(row=ROWS)
def test_render(row):
    """The quick way out says exactly what the schema in the description says."""
    assert render(row) == Product().dump(row)
