"""The list of products, on both databases: filters, orders and pages."""

import re
from urllib.parse import quote

import pytest

from tests.support.integration.client import product

COLOURS = ("Amber", "blue", "Coral", "Émeraude")


@pytest.fixture
def add(client, auth):
    """Return a function that creates products with the given fields and returns the responses."""

    def send(*changes):
        return [client.post("/api/products", json=product(**change), headers=auth).json for change in changes]

    return send


@pytest.fixture
def names(client):
    """Return a function that lists the names of the products that match a query."""
    return lambda query: [item["name"] for item in client.get(f"/api/products?{query}").json["items"]]


def pages(client, url):
    """Follow `Link: rel="next"` and yield each page's items."""
    while url:
        response = client.get(url)
        assert response.status_code == 200, response.text
        yield response.json["items"]
        url = next(iter(re.findall(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))), None)


def test_search_by_prefix(add, names):
    """Each word of a search matches the start of a word in the name or description, ignoring case."""
    add({"name": "Blue mug"}, {"name": "Red mug", "description": "with a BLUEBELL"}, {"name": "Redblue"})
    assert sorted(names("q=blue")) == ["Blue mug", "Red mug"]
    assert names("q=mu+bluebe") == ["Red mug"]
    assert names("q=nothing") == []


def test_operators_in_a_search(add, names):
    """Operators of LIKE and of text queries have no effect."""
    add({"name": "Blue mug"})
    assert names("q=b%25") == ["Blue mug"]  # matches the prefix b
    assert names("q=b_") == ["Blue mug"]
    assert names("q=blue+%26+!+mug") == ["Blue mug"]
    assert names("q='%3A*+blue") == ["Blue mug"]


FOUND = [
    ("Cable 3.5 mm", "3.5"),
    ("iPhone-15 case", "iphone 15"),
    ("Model MUG-5", "mug 5"),
    ("foo.txt", "txt"),
    ("A (portable) fan", "portable"),
    ("Tea & coffee", "tea & coffee"),
    ("<b>Bold</b>", "bold"),
    ("Émile's cup", "émile"),
]


@pytest.mark.parametrize(("name", "search"), FOUND)
def test_words_between_punctuation(add, names, name, search):
    """A search finds a word between any punctuation."""
    add({"name": name}, {"name": "Another"})
    assert names(f"q={quote(search)}") == [name]


def test_price_range(add, names):
    """A price range includes both limits."""
    add(*({"name": f"P{price}", "price": price} for price in (9, 10, 15, 20, 21)))
    assert names("price_min=10&price_max=20&sort=price") == ["P10", "P15", "P20"]


def test_currency(add, names):
    """The currency filter combines with the other filters."""
    add({"name": "E1", "currency": "EUR"}, {"name": "J1", "currency": "JPY"}, {"name": "J2", "currency": "JPY"})
    assert names("currency=JPY&sort=name") == ["J1", "J2"]
    assert names("currency=JPY&q=j2") == ["J2"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["name", "price", "created_at"])
def test_order(client, add, sort, descending):
    """Each order sorts by its column, names by code point, and then by the id."""
    add(*({"name": name, "price": price} for price in (3, 1, 2) for name in COLOURS))
    (items,) = pages(client, f"/api/products?limit=100&sort={'-' * descending}{sort}")
    keys = [(item[sort], item["id"]) for item in items]
    assert len(keys) == 12
    assert keys == sorted(keys, reverse=descending)


@pytest.mark.parametrize("sort", ["name", "-name", "price", "-price", "created_at", "-created_at"])
def test_pages_are_complete(client, add, sort):
    """All pages together contain each product once, in each order and with each filter."""
    expected = sorted(item["id"] for item in add(*({"price": 1 + number % 2} for number in range(7))))
    for filters in ("", "&q=product", "&price_min=1", "&currency=EUR"):
        listed = [item["id"] for page in pages(client, f"/api/products?limit=2&sort={sort}{filters}") for item in page]
        assert sorted(listed) == expected


@pytest.mark.parametrize("sort", ["name", "-created_at"])
def test_insert_before_the_cursor(client, add, sort):
    """A product inserted before the cursor causes no gap and no duplicate."""
    expected = {item["id"] for item in add(*({"name": f"M{number}"} for number in range(6)))}
    listed = []
    for page in pages(client, f"/api/products?limit=2&sort={sort}"):
        listed += [item["id"] for item in page]
        add({"name": "A, before all"})
    assert len(listed) == len(set(listed)) == 6
    assert set(listed) == expected


def test_deleted_product_at_the_cursor(client, auth, add):
    """A cursor stays valid after its product is deleted."""
    first, *rest = add({"price": 1}, {"price": 2}, {"price": 3})
    page = client.get("/api/products?limit=1&sort=price").json
    client.delete(f"/api/products/{first['id']}", headers=auth | {"If-Match": "*"})
    assert client.get(f"/api/products?sort=price&cursor={page['next_cursor']}").json["items"] == rest


def test_last_page(client, add):
    """A full last page has no next page."""
    add({}, {})
    response = client.get("/api/products?limit=2")
    assert (response.json["next_cursor"], "Link" in response.headers) == (None, False)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "x", "", "9" * 5000, "%D9%A1"])
def test_invalid_limit(client, limit):
    """A limit that is not a number from 1 to 100 gets 422; the error names the parameter."""
    response = client.get(f"/api/products?limit={limit}")
    assert (response.status_code, response.json["errors"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJuYW1lIiwxLDFd", "%00", "W10", "A" * 1001])
def test_invalid_cursor(client, cursor):
    """An invalid cursor gets 422; the error names the parameter."""
    response = client.get(f"/api/products?sort=name&cursor={cursor}")
    assert (response.status_code, response.json["errors"][0]["field"]) == (422, "cursor")


def test_cursor_of_another_order(client, add):
    """A cursor of another order gets 422."""
    add({}, {})
    cursor = client.get("/api/products?limit=1&sort=name").json["next_cursor"]
    assert client.get(f"/api/products?sort=-name&cursor={cursor}").status_code == 422


def test_next_link(client, add):
    """The next page's link keeps the parameters and contains no host."""
    add({}, {})
    link = client.get("/api/products?limit=1&price_min=1&q=product").headers["Link"]
    assert link.startswith("</api/products?")
    assert all(part in link for part in ("limit=1", "price_min=1", "q=product", "cursor="))
