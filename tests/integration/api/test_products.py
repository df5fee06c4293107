"""Create, read, replace, change and delete a product, on both databases."""

import re

import pytest

from tests.support.integration.client import product

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def created(client, auth):
    """The response that created a product."""
    response = client.post("/api/products", json=product(), headers=auth)
    assert response.status_code == 201, response.text
    return response


@pytest.fixture
def patch(client, auth, created):
    """Send a merge patch to the product, by default with its ETag."""

    def send(body, match=None):
        headers = auth | MERGE_PATCH | {"If-Match": match or created.headers["ETag"]}
        return client.patch(created.location, json=body, headers=headers)

    return send


def test_create(client, auth):
    """POST returns 201 with the location, the ETag and the given fields."""
    sent = product(description="Two\nlines")
    response = client.post("/api/products", json=sent, headers=auth)
    assert (response.status_code, response.location) == (201, f"/api/products/{response.json['id']}")
    assert response.json | sent == response.json
    assert response.headers["ETag"].startswith('"')


def test_read(client, created):
    """GET returns the same bytes and ETag as the POST that created the product."""
    response = client.get(created.location)
    assert (response.status_code, response.data) == (200, created.data)
    assert response.headers["ETag"] == created.headers["ETag"]


def test_times_have_an_offset(created):
    """Times are RFC 3339 with an offset, including on SQLite, which does not store one."""
    assert RFC_3339.fullmatch(created.json["created_at"])
    assert RFC_3339.fullmatch(created.json["updated_at"])


def test_head(client, created):
    """HEAD returns the headers of GET without a body."""
    got, head = client.get(created.location), client.head(created.location)
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]


def test_replace(client, auth, created):
    """PUT replaces every field, resets omitted ones to their defaults and increments the version."""
    sent = product()
    del sent["description"]
    response = client.put(created.location, json=sent, headers=auth | {"If-Match": created.headers["ETag"]})
    assert (response.status_code, response.json["version"]) == (200, 2)
    assert response.json | sent | {"description": ""} == response.json
    assert response.headers["ETag"] == client.get(created.location).headers["ETag"] != created.headers["ETag"]


def test_merge_patch(created, patch):
    """PATCH changes only the given fields."""
    response = patch({"price": 5})
    expected = created.json | {"price": 5, "version": 2, "updated_at": response.json["updated_at"]}
    assert (response.status_code, response.json) == (200, expected)
    assert response.json["updated_at"] > created.json["updated_at"]


def test_null_in_a_merge_patch(patch):
    """Null removes an optional field and is invalid for a required one."""
    assert patch({"description": None}).json["description"] == ""
    assert patch({"name": None}, match="*").status_code == 422


def test_delete(client, auth, created):
    """A deleted product gets 404, and its id is never reused."""
    assert client.delete(created.location, headers=auth | {"If-Match": created.headers["ETag"]}).status_code == 204
    assert client.get(created.location).status_code == 404
    assert client.post("/api/products", json=product(), headers=auth).location != created.location


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_missing_if_match(client, auth, created, method):
    """A change without If-Match gets 428 and has no effect; the error names the header."""
    kind = MERGE_PATCH if method == "patch" else {}
    response = client.open(created.location, method=method, json=product(), headers=auth | kind)
    assert (response.status_code, response.json["errors"][0]["field"]) == (428, "If-Match")
    assert client.get(created.location).data == created.data


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_stale_if_match(client, auth, created, patch, method):
    """A change of an outdated version gets 412 and has no effect."""
    newer = patch({"price": 7})
    headers = auth | {"If-Match": created.headers["ETag"]} | (MERGE_PATCH if method == "patch" else {})
    assert client.open(created.location, method=method, json=product(), headers=headers).status_code == 412
    assert client.get(created.location).data == newer.data


@pytest.mark.parametrize("spelling", ["*", "W/{}", '"other", {}'])
def test_if_match_forms(created, patch, spelling):
    """If-Match accepts `*`, a weak ETag (from a compressing proxy) and a list."""
    assert patch({"price": 8}, match=spelling.format(created.headers["ETag"])).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize("number", [0, 2**63 - 1])
def test_unknown_product(client, auth, method, number):
    """Every method gets 404 for an unknown product."""
    headers = auth | {"If-Match": "*"} | (MERGE_PATCH if method == "patch" else {})
    body = None if method in {"get", "delete"} else product()
    assert client.open(f"/api/products/{number}", method=method, json=body, headers=headers).status_code == 404


def test_duplicate_sku(client, auth, created, patch):
    """POST and PATCH with the SKU of another product get 409; the error names the field."""
    second = client.post("/api/products", json=product(sku=created.json["sku"]), headers=auth)
    assert (second.status_code, second.json["errors"][0]["field"]) == (409, "sku")
    other = client.post("/api/products", json=product(), headers=auth)
    assert patch({"sku": other.json["sku"]}).status_code == 409


def test_problem_document(client):
    """An error is application/problem+json with the status, the path and the request id."""
    response = client.get("/api/products/0")
    assert response.content_type == "application/problem+json"
    assert (response.json["status"], response.json["instance"]) == (404, "/api/products/0")
    assert response.json["request_id"] == response.headers["X-Request-ID"]


def test_same_representation(client, created):
    """The list, the single product and marshmallow's dump have the same JSON."""
    from app.models import Product  # noqa: PLC0415
    from app.schemas.product import Product as Schema  # noqa: PLC0415

    one = client.get(created.location).json
    assert client.get("/api/products").json["items"] == [one]
    with client.application.app_context():
        row = Product.query.one()
        assert Schema().dump(row) == one
