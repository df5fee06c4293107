"""The list of products, on both databases: filters, orders, pages."""

import re
from urllib.parse import quote

import pytest

from tests.support.integration.client import product

COLOURS = ("Amber", "blue", "Coral", "Émeraude")


@pytest.fixture
def add(client, auth):
    """Add products that differ from a good one as told; return what the API answered."""

    def send(*changes):
        return [client.post("/api/products", json=product(**change), headers=auth).json for change in changes]

    return send


@pytest.fixture
def names(client):
    """Return the names of the products that a query finds."""
    return lambda query: [item["name"] for item in client.get(f"/api/products?{query}").json["items"]]


def pages(client, address):
    """Walk from page to page as `Link: rel="next"` leads; yield each page's items."""
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        yield answer.json["items"]
        address = next(iter(re.findall(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))), None)


def test_words_begin_words(add, names):
    """The text filter finds products where each word begins a word of the name or the description, in any case."""
    add({"name": "Blue mug"}, {"name": "Red mug", "description": "with a BLUEBELL"}, {"name": "Redblue"})
    assert sorted(names("q=blue")) == ["Blue mug", "Red mug"]
    assert names("q=mu+bluebe") == ["Red mug"]
    assert names("q=nothing") == []


def test_signs_in_the_text_filter_mean_nothing(add, names):
    """What LIKE or a text query would take for an operator is searched for as text."""
    add({"name": "Blue mug"})
    assert names("q=b%25") == ["Blue mug"]  # per cent begins nothing; what is searched for is the b
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


@pytest.mark.parametrize(("name", "asked"), FOUND)
def test_words_between_signs(add, names, name, asked):
    """Whatever signs stand around a word, it is found, on both databases."""
    add({"name": name}, {"name": "Another"})
    assert names(f"q={quote(asked)}") == [name]


def test_price_range(add, names):
    """A price range holds both of its ends."""
    add(*({"name": f"P{price}", "price": price} for price in (9, 10, 15, 20, 21)))
    assert names("price_min=10&price_max=20&sort=price") == ["P10", "P15", "P20"]


def test_currency(add, names):
    """The currency filter leaves one currency, and goes together with the others."""
    add({"name": "E1", "currency": "EUR"}, {"name": "J1", "currency": "JPY"}, {"name": "J2", "currency": "JPY"})
    assert names("currency=JPY&sort=name") == ["J1", "J2"]
    assert names("currency=JPY&q=j2") == ["J2"]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sort", ["name", "price", "created_at"])
def test_order(client, add, sort, backwards):
    """Each order sorts by its column and then by the id, both ways, and names by code point on both databases."""
    add(*({"name": name, "price": price} for price in (3, 1, 2) for name in COLOURS))
    (items,) = pages(client, f"/api/products?limit=100&sort={'-' * backwards}{sort}")
    keys = [(item[sort], item["id"]) for item in items]
    assert len(keys) == 12
    assert keys == sorted(keys, reverse=backwards)


@pytest.mark.parametrize("sort", ["name", "-name", "price", "-price", "created_at", "-created_at"])
def test_pages_hold_each_product_once(client, add, sort):
    """Walking all pages meets each product exactly once, with equal prices, in each order and with each filter."""
    wanted = sorted(item["id"] for item in add(*({"price": 1 + number % 2} for number in range(7))))
    for filters in ("", "&q=product", "&price_min=1", "&currency=EUR"):
        walked = [item["id"] for page in pages(client, f"/api/products?limit=2&sort={sort}{filters}") for item in page]
        assert sorted(walked) == wanted


@pytest.mark.parametrize("sort", ["name", "-created_at"])
def test_rows_added_before_the_cursor(client, add, sort):
    """Products that are added before the place where a reader is make him miss none and see none twice."""
    wanted = {item["id"] for item in add(*({"name": f"M{number}"} for number in range(6)))}
    walked = []
    for page in pages(client, f"/api/products?limit=2&sort={sort}"):
        walked += [item["id"] for item in page]
        add({"name": "A, before all"})
    assert len(walked) == len(set(walked)) == 6
    assert set(walked) == wanted


def test_a_deleted_place(client, auth, add):
    """A cursor leads on where it pointed, though the product that it was made from is gone."""
    first, *rest = add({"price": 1}, {"price": 2}, {"price": 3})
    page = client.get("/api/products?limit=1&sort=price").json
    client.delete(f"/api/products/{first['id']}", headers=auth | {"If-Match": "*"})
    assert client.get(f"/api/products?sort=price&cursor={page['next_cursor']}").json["items"] == rest


def test_the_last_page_leads_nowhere(client, add):
    """A page that is exactly full and the last has no next one."""
    add({}, {})
    answer = client.get("/api/products?limit=2")
    assert (answer.json["next_cursor"], "Link" in answer.headers) == (None, False)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "x", "", "9" * 5000, "%D9%A1"])
def test_limit_bounds(client, limit):
    """A limit outside of 1 to 100, or that is no plain number, answers 422 and names the parameter."""
    answer = client.get(f"/api/products?limit={limit}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJuYW1lIiwxLDFd", "%00", "W10", "A" * 1001])
def test_a_made_up_cursor(client, cursor):
    """A text that is no cursor answers 422 and names the parameter."""
    answer = client.get(f"/api/products?sort=name&cursor={cursor}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "cursor")


def test_another_orders_cursor(client, add):
    """A cursor of another order answers 422 instead of a page from nowhere."""
    add({}, {})
    cursor = client.get("/api/products?limit=1&sort=name").json["next_cursor"]
    assert client.get(f"/api/products?sort=-name&cursor={cursor}").status_code == 422


def test_the_link_keeps_the_filters(client, add):
    """The next page's address keeps what was asked for, and names no host."""
    add({}, {})
    link = client.get("/api/products?limit=1&price_min=1&q=product").headers["Link"]
    assert link.startswith("</api/products?")
    assert all(part in link for part in ("limit=1", "price_min=1", "q=product", "cursor="))
