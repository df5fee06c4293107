"""ETags, 304 and the cached list, on both databases: when the database is asked and when it is not."""

import pytest
from sqlalchemy import event

from app.cache import current_cache
from app.cache.tags import ALL
from app.extensions import db
from tests.support.integration.client import product

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def statements(app):
    """Every statement that reaches the database, as it is sent."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def made(client, auth):
    """A product that is there."""
    return client.post("/api/products", json=product(), headers=auth)


def test_a_cached_list_asks_nobody(client, made, statements):
    """The second request for a list is answered without a statement, with the same bytes, ETag and Link."""
    assert made.status_code == 201
    first = client.get("/api/products")
    statements.clear()
    second = client.get("/api/products")
    assert (second.data, second.headers["ETag"]) == (first.data, first.headers["ETag"])
    assert (statements, second.headers["Cache-Status"][:8]) == ([], "app; hit")


def test_another_order_of_the_parameters_is_the_same_list(client, statements):
    """The order of parameters does not matter to the cache; their values do."""
    client.get("/api/products?limit=5&sort=name")
    statements.clear()
    client.get("/api/products?sort=name&limit=5")
    assert statements == []
    client.get("/api/products?sort=name&limit=6")
    assert len(statements) == 1


def test_equal_parameters_share_an_entry(client, auth, statements):
    """A default and its explicit value share an entry, whose Link has the validated parameters."""
    for _ in range(2):
        client.post("/api/products", json=product(), headers=auth)
    first = client.get("/api/products?limit=01")
    statements.clear()
    second = client.get("/api/products?sort=-created_at&limit=1")
    assert (statements, second.data, second.headers["Link"]) == ([], first.data, first.headers["Link"])
    assert "limit=1&sort=-created_at&cursor=" in second.headers["Link"]


def test_not_modified_asks_nobody(client, made, statements):
    """A list that the client has already answers 304 without a body and without a statement."""
    assert made.status_code == 201
    etag = client.get("/api/products").headers["ETag"]
    statements.clear()
    answer = client.get("/api/products", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data, statements) == (304, b"", [])
    assert answer.headers["ETag"] == etag


def test_not_modified_one(client, made):
    """A product that the client has already answers 304, and a changed one 200."""
    condition = {"If-None-Match": made.headers["ETag"]}
    assert client.get(made.location, headers=condition).status_code == 304
    assert client.get(made.location, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_single_read_is_one_statement(client, made, statements):
    """Reading a product sends the database one statement."""
    statements.clear()
    client.get(made.location)
    assert len(statements) == 1


@pytest.mark.parametrize("change", ["post", "put", "patch", "delete"])
def test_a_write_is_seen_at_once(client, auth, made, change):
    """Each kind of write ends the cached lists before it is answered."""
    before = client.get("/api/products").json["items"]
    headers = auth | {"If-Match": "*"}
    address = "/api/products" if change == "post" else made.location
    answer = client.open(address, method=change, json=product(), headers=headers)
    assert answer.status_code < 300
    assert client.get("/api/products").json["items"] != before


def test_a_refused_write_ends_nothing(client, auth, made, statements):
    """A write that was refused leaves the cached lists as good as they are."""
    client.get("/api/products")
    assert client.post("/api/products", json=product(sku=made.json["sku"]), headers=auth).status_code == 409
    statements.clear()
    assert client.get("/api/products").headers["Cache-Status"].startswith("app; hit")
    assert statements == []


def test_an_error_is_not_cached(client):
    """An answer that is an error is made anew each time, and no cache on the way may keep it."""
    for _ in range(2):
        answer = client.get("/api/products?limit=0")
        assert "hit" not in answer.headers.get("Cache-Status", "")
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_may_be_kept_says_so(client, made):
    """A list may be kept by a shared cache for a moment, a product only with asking, a write's answer not at all."""
    assert client.get("/api/products").headers["Cache-Control"].startswith("public, max-age=0, s-maxage=1")
    assert client.get(made.location).headers["Cache-Control"] == "no-cache"
    assert made.headers["Cache-Control"] == "no-store"


def test_purging(client, auth, statements):
    """DELETE /cache and DELETE /cache/tags/products end the cached lists."""
    client.get("/api/products")
    for path in ("/cache", "/cache/tags/products"):
        assert client.delete(path, headers=auth).status_code == 204
        statements.clear()
        client.get("/api/products")
        assert statements


def test_purging_a_tag_that_nothing_has(client, auth):
    """DELETE /cache/tags/… with a tag that no view has declared is 404, and names those that there are."""
    answer = client.delete("/cache/tags/prodcts", headers=auth)
    assert (answer.status_code, "products" in answer.json["detail"]) == (404, True)


def test_statistics(client, auth):
    """GET /cache returns the size of the store."""
    client.get("/api/products")
    statistics = client.get("/cache", headers=auth).json
    assert (statistics["backend"], statistics["keys"] >= 1, statistics["bytes"] > 100) == ("process", True, True)


def test_every_representation_has_an_etag(client, auth, made):
    """Every answer that shows a product or a list has an ETag, and equal bytes have equal ones."""
    patched = client.patch(
        made.location, data='{"price": 1}', headers=auth | {"If-Match": "*", "Content-Type": MERGE_PATCH}
    )
    tags = [answer.headers["ETag"] for answer in (made, patched, client.get(made.location))]
    assert tags[1] == tags[2] != tags[0]
    assert client.get("/api/products?limit=1").headers["ETag"]


def test_emptying_everything_reaches_every_entry(app, client, statements):
    """Every entry has the tag that stands for all of them."""
    client.get("/api/products?limit=7")
    with app.app_context():
        assert current_cache().invalidate([ALL])
    statements.clear()
    client.get("/api/products?limit=7")
    assert len(statements) == 1
