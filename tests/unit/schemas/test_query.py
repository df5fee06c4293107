"""Validation of the list's query parameters."""

import pytest
from marshmallow import ValidationError

from app.models.product import MAX_PRICE
from app.schemas.product import SORTS, ProductQuery


def invalid_parameters(**query):
    """Return the names of the invalid parameters."""
    with pytest.raises(ValidationError) as raised:
        ProductQuery().load(query)
    return sorted(raised.value.messages)


def test_defaults():
    """The default is the newest twenty products."""
    assert ProductQuery().load({}) == {"limit": 20, "sort": "-created_at"}


def test_valid_query():
    """A valid query loads with its numbers converted."""
    query = {
        "limit": "100",
        "sort": "price",
        "q": "mug",
        "price_min": "0",
        "price_max": "5",
        "currency": "EUR",
        "cursor": "x",
    }
    assert ProductQuery().load(query) == query | {"limit": 100, "price_min": 0, "price_max": 5}


NON_NUMBERS = [
    "",
    "x",
    "1.0",
    "1e1",
    "0x1",
    " 1",
    "1 ",
    "1\n",
    "1_0",
    "+1",
    "٣",
    "\uff11",
    "²",
    "9" * 20,
    "9" * 5000,
]


@pytest.mark.parametrize("value", NON_NUMBERS)
@pytest.mark.parametrize("name", ["limit", "price_min", "price_max"])
def test_numbers(name, value):
    """A number rejects anything but ASCII digits, including spaces and other digits that int() accepts."""
    assert invalid_parameters(**{name: value}) == [name]


@pytest.mark.parametrize("value", ["0", "101", "-1"])
def test_limit(value):
    """A limit outside 1 to 100 is invalid."""
    assert invalid_parameters(limit=value) == ["limit"]


@pytest.mark.parametrize("value", ["-1", str(MAX_PRICE + 1)])
@pytest.mark.parametrize("name", ["price_min", "price_max"])
def test_price(name, value):
    """A price out of range is invalid."""
    assert invalid_parameters(**{name: value}) == [name]


def test_price_range():
    """An empty price range is invalid; a single price is valid."""
    assert invalid_parameters(price_min="6", price_max="5") == ["price_min"]
    assert ProductQuery().load({"price_min": "5", "price_max": "5"})["price_min"] == 5


@pytest.mark.parametrize("value", ["", "-", "%", "_", " ' ", "&|!", "\0", "mug\n", "a\x1b", "\ud800", "x" * 101])
def test_search(value):
    """A search rejects texts without a letter or digit, and characters that a name cannot contain."""
    assert invalid_parameters(q=value) == ["q"]


@pytest.mark.parametrize("value", ["é", "漢", "7", "'mug'", "a:*"])
def test_valid_search(value):
    """A search accepts letters and digits of any script."""
    assert ProductQuery().load({"q": value})["q"] == value


@pytest.mark.parametrize("sort", SORTS)
def test_sort(sort):
    """Only the exact names of the orders are valid."""
    assert ProductQuery().load({"sort": sort})["sort"] == sort
    assert invalid_parameters(sort=f"{sort} DESC") == ["sort"]


@pytest.mark.parametrize("query", [{"sort": "id"}, {"sort": ""}, {"cursor": ""}, {"cursor": "x" * 1001}])
def test_sort_and_cursor(query):
    """An unknown order and a cursor of invalid length are invalid."""
    assert invalid_parameters(**query) == list(query)


@pytest.mark.parametrize("value", ["eur", "EU", "EURO", "EUR\n", "\uff25\uff35\uff32", ""])
def test_currency(value):
    """A currency rejects anything but three ASCII capitals."""
    assert invalid_parameters(currency=value) == ["currency"]


@pytest.mark.parametrize("name", ["page", "Limit", "q[]", ""])
def test_unknown_parameter(name):
    """An unknown parameter is an error that names it."""
    assert invalid_parameters(**{name: "1"}) == [name]
