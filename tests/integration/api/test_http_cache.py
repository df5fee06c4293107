"""ETags, 304 and the cached list, on both databases."""

import pytest
from sqlalchemy import event

from app.cache import current_cache
from app.cache.tags import ALL
from app.extensions import db
from tests.support.integration.client import product

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def statements(app):
    """The statements that reach the database."""
    sent = []

    def record(_connection, _cursor, statement, *_):
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", record)
    yield sent
    event.remove(engine, "before_cursor_execute", record)


@pytest.fixture
def created(client, auth):
    """The response that created a product."""
    return client.post("/api/products", json=product(), headers=auth)


def test_cached_list(client, created, statements):
    """The second request for a list sends no statement and gets the same bytes and ETag."""
    assert created.status_code == 201
    first = client.get("/api/products")
    statements.clear()
    second = client.get("/api/products")
    assert (second.data, second.headers["ETag"]) == (first.data, first.headers["ETag"])
    assert (statements, second.headers["Cache-Status"][:8]) == ([], "app; hit")


def test_order_of_parameters(client, statements):
    """The cache key depends on the values of the parameters, not on their order."""
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


def test_not_modified_list(client, created, statements):
    """The current ETag of a cached list gets 304 without a body or statement."""
    assert created.status_code == 201
    etag = client.get("/api/products").headers["ETag"]
    statements.clear()
    response = client.get("/api/products", headers={"If-None-Match": etag})
    assert (response.status_code, response.data, statements) == (304, b"", [])
    assert response.headers["ETag"] == etag


def test_not_modified_product(client, created):
    """The current ETag of a product gets 304, another one 200."""
    condition = {"If-None-Match": created.headers["ETag"]}
    assert client.get(created.location, headers=condition).status_code == 304
    assert client.get(created.location, headers={"If-None-Match": '"other"'}).status_code == 200


def test_one_statement_per_read(client, created, statements):
    """Reading a product sends one statement."""
    statements.clear()
    client.get(created.location)
    assert len(statements) == 1


@pytest.mark.parametrize("change", ["post", "put", "patch", "delete"])
def test_invalidation_by_writes(client, auth, created, change):
    """Each kind of write invalidates the cached lists before its response."""
    before = client.get("/api/products").json["items"]
    headers = auth | {"If-Match": "*"}
    path = "/api/products" if change == "post" else created.location
    response = client.open(path, method=change, json=product(), headers=headers)
    assert response.status_code < 300
    assert client.get("/api/products").json["items"] != before


def test_failed_write(client, auth, created, statements):
    """A failed write does not invalidate the cached lists."""
    client.get("/api/products")
    assert client.post("/api/products", json=product(sku=created.json["sku"]), headers=auth).status_code == 409
    statements.clear()
    assert client.get("/api/products").headers["Cache-Status"].startswith("app; hit")
    assert statements == []


def test_error_is_not_cached(client):
    """An error is not cached, and its no-store keeps it out of other caches."""
    for _ in range(2):
        response = client.get("/api/products?limit=0")
        assert "hit" not in response.headers.get("Cache-Status", "")
        assert response.headers["Cache-Control"] == "no-store"


def test_cache_control(client, created):
    """A list allows shared caching for a second, a product requires revalidation, a write forbids storing."""
    assert client.get("/api/products").headers["Cache-Control"].startswith("public, max-age=0, s-maxage=1")
    assert client.get(created.location).headers["Cache-Control"] == "no-cache"
    assert created.headers["Cache-Control"] == "no-store"


def test_purge(client, auth, statements):
    """DELETE /cache and DELETE /cache/tags/products invalidate the cached lists."""
    client.get("/api/products")
    for path in ("/cache", "/cache/tags/products"):
        assert client.delete(path, headers=auth).status_code == 204
        statements.clear()
        client.get("/api/products")
        assert statements


def test_purge_of_an_unknown_tag(client, auth):
    """An undeclared tag gets 404 with the declared ones."""
    response = client.delete("/cache/tags/prodcts", headers=auth)
    assert (response.status_code, "products" in response.json["detail"]) == (404, True)


def test_statistics(client, auth):
    """GET /cache returns the size of the store."""
    client.get("/api/products")
    statistics = client.get("/cache", headers=auth).json
    assert (statistics["backend"], statistics["keys"] >= 1, statistics["bytes"] > 100) == ("process", True, True)


def test_etags(client, auth, created):
    """Every representation has an ETag, and equal bytes have equal ones."""
    patched = client.patch(
        created.location, data='{"price": 1}', headers=auth | {"If-Match": "*", "Content-Type": MERGE_PATCH}
    )
    etags = [response.headers["ETag"] for response in (created, patched, client.get(created.location))]
    assert etags[1] == etags[2] != etags[0]
    assert client.get("/api/products?limit=1").headers["ETag"]


def test_invalidation_of_all_entries(app, client, statements):
    """The tag ALL invalidates every entry."""
    client.get("/api/products?limit=7")
    with app.app_context():
        assert current_cache().invalidate([ALL])
    statements.clear()
    client.get("/api/products?limit=7")
    assert len(statements) == 1
