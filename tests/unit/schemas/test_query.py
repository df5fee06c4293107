"""The query of the list: each parameter is checked, and a question without an answer is refused."""

import pytest
from marshmallow import ValidationError

from app.models.product import MAX_PRICE
from app.schemas.product import SORTS, ProductQuery


def wrong(**query):
    """Return the names of the parameters that are refused."""
    with pytest.raises(ValidationError) as refusal:
        ProductQuery().load(query)
    return sorted(refusal.value.messages)


def test_defaults():
    """Without a query the newest twenty are asked for."""
    assert ProductQuery().load({}) == {"limit": 20, "sort": "-created_at"}


def test_accepted():
    """What is right is taken, numbers as numbers."""
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


NO_NUMBERS = ["", "x", "1.0", "1e1", "0x1", " 1", "1 ", "1\n", "1_0", "+1", "٣", "\uff11", "²", "9" * 20, "9" * 5000]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("name", ["limit", "price_min", "price_max"])
def test_numbers(name, value):
    """A number is ASCII digits: int() would take blanks, underscores and other scripts' digits too."""
    assert wrong(**{name: value}) == [name]


@pytest.mark.parametrize("value", ["0", "101", "-1"])
def test_limit(value):
    """A page has 1 to 100 products."""
    assert wrong(limit=value) == ["limit"]


@pytest.mark.parametrize("value", ["-1", str(MAX_PRICE + 1)])
@pytest.mark.parametrize("name", ["price_min", "price_max"])
def test_price(name, value):
    """A price that no product can have is refused."""
    assert wrong(**{name: value}) == [name]


def test_range():
    """A range that nothing can be in is refused, one of a single price is not."""
    assert wrong(price_min="6", price_max="5") == ["price_min"]
    assert ProductQuery().load({"price_min": "5", "price_max": "5"})["price_min"] == 5


@pytest.mark.parametrize("value", ["", "-", "%", "_", " ' ", "&|!", "\0", "mug\n", "a\x1b", "\ud800", "x" * 101])
def test_search(value):
    """A search has a letter or a digit, and no character that could not be in a name."""
    assert wrong(q=value) == ["q"]


@pytest.mark.parametrize("value", ["é", "漢", "7", "'mug'", "a:*"])
def test_search_accepted(value):
    """Any script's letter will do, whatever stands around it."""
    assert ProductQuery().load({"q": value})["q"] == value


@pytest.mark.parametrize("sort", SORTS)
def test_sort(sort):
    """Each order may be asked for; with a word added none is."""
    assert ProductQuery().load({"sort": sort})["sort"] == sort
    assert wrong(sort=f"{sort} DESC") == ["sort"]


@pytest.mark.parametrize("query", [{"sort": "id"}, {"sort": ""}, {"cursor": ""}, {"cursor": "x" * 1001}])
def test_sort_and_cursor(query):
    """Another order is refused, and so is a cursor that cannot be one."""
    assert wrong(**query) == list(query)


@pytest.mark.parametrize("value", ["eur", "EU", "EURO", "EUR\n", "\uff25\uff35\uff32", ""])
def test_currency(value):
    """A currency is three capital letters."""
    assert wrong(currency=value) == ["currency"]


@pytest.mark.parametrize("name", ["page", "Limit", "q[]", ""])
def test_unknown(name):
    """A parameter that is not declared is refused by its name."""
    assert wrong(**{name: "1"}) == [name]
