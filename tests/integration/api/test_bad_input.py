"""Invalid input, on both databases: a precise 4xx, never a 500."""

import json

import pytest

from tests.support.integration.client import product

SURROGATE = "\ud800"
HUGE = 10**400

INVALID_VALUES = {
    "sku": ["", "a b", "-a", "a" * 65, "ä", "a\n", None, 1, [], {}, "a\0", SURROGATE],
    "name": ["", "a" * 201, "a\nb", "a\0", SURROGATE, "\x7f", None, 1, ["a"]],
    "description": ["a" * 5001, "a\0", SURROGATE, "\x1b[0m", None, 1],
    "price": [-1, 10**12 + 1, HUGE, -HUGE, 1.5, 1e300, "1", True, None, [], 2**63],
    "currency": ["", "eur", "XXX", "EURO", "EU\0", SURROGATE, None, 978],
}
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"price": NaN}',
    "Infinity": b'{"price": -Infinity}',
    "5,000 digits": b'{"price": ' + b"9" * 5000 + b"}",
    "deep arrays": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "two values": b"{} {}",
}
QUERIES = [
    "q=%00",
    "q=",
    "q=%21",
    "q=" + "a" * 101,
    "price_min=99999999999999999999999",
    "price_min=" + "9" * 5000,
    "price_max=-1",
    "price_min=2&price_max=1",
    "price_min=%F0%9D%9F%99",
    "currency=eur",
    "currency=%00%00%00",
    "sort=id",
    "sort=name%00",
    "unknown=1",
    "cursor=%FF",
]


@pytest.mark.guarantee(
    "Every operation responds as its OpenAPI description says, whatever the input, and never with 500"
)
@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in INVALID_VALUES.items() for value in values], ids=repr
)
def test_invalid_value(client, auth, field, value):
    """An invalid value gets 422 and stores nothing; the error names the field."""
    response = client.post("/api/products", json=product(**{field: value}), headers=auth)
    assert (response.status_code, {error["field"] for error in response.json["errors"]}) == (422, {field})
    assert {error["in"] for error in response.json["errors"]} == {"body"}
    assert client.get("/api/products").json["items"] == []


def test_all_errors_at_once(client, auth):
    """One response names all missing, invalid and unknown fields."""
    response = client.post("/api/products", json={"sku": "", "price": -1, "id": 5}, headers=auth)
    assert {error["field"] for error in response.json["errors"]} == {"sku", "name", "price", "currency", "id"}


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_unknown_field(client, auth, method):
    """An unknown field is an error, not ignored."""
    created = client.post("/api/products", json=product(), headers=auth)
    path = "/api/products" if method == "post" else created.location
    response = client.open(path, method=method, json=product(version=9), headers=auth | {"If-Match": "*"})
    assert (response.status_code, response.json["errors"][0]["field"]) == (422, "version")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_invalid_json(client, auth, body):
    """A body that is not JSON gets 400 with the reason."""
    response = client.post("/api/products", data=body, headers=auth | {"Content-Type": "application/json"})
    assert (response.status_code, response.content_type) == (400, "application/problem+json")
    assert response.json["errors"][0]["detail"]


@pytest.mark.parametrize("value", [[], "text", 1, None, True, [{}]], ids=repr)
def test_not_an_object(client, auth, value):
    """A JSON value other than an object gets 422."""
    response = client.post("/api/products", data=json.dumps(value), headers=auth | {"Content-Type": "application/json"})
    assert (response.status_code, response.json["errors"][0]["in"]) == (422, "body")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", ""]
)
def test_unsupported_media_type(client, auth, kind):
    """A body of another media type gets 415 with the accepted one."""
    response = client.post("/api/products", data=json.dumps(product()), headers=auth | {"Content-Type": kind})
    assert (response.status_code, response.headers["Accept"]) == (415, "application/json")


def test_unsupported_media_type_of_a_patch(client, auth):
    """A patch of another media type gets 415 with Accept-Patch."""
    created = client.post("/api/products", json=product(), headers=auth)
    response = client.patch(created.location, data="{}", headers=auth | {"If-Match": "*", "Content-Type": "text/plain"})
    assert response.status_code == 415
    assert "application/merge-patch+json" in response.headers["Accept-Patch"]


def test_large_body(client, auth):
    """A body over the limit gets 413 and a problem document."""
    response = client.post("/api/products", json=product(description="x" * 70_000), headers=auth)
    assert (response.status_code, response.content_type) == (413, "application/problem+json")


@pytest.mark.parametrize("query", QUERIES)
def test_invalid_parameter(client, query):
    """An invalid parameter gets 422; the error names it."""
    response = client.get(f"/api/products?{query}")
    assert (response.status_code, response.json["errors"][0]["in"]) == (422, "query")
    assert response.json["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("query", ["q=%ED%A0%80", "q=%FF%FE", "q=a%FF", "%FF=1", "q=%"])
def test_query_that_is_not_utf8(client, query):
    """Invalid UTF-8 matches no product, or is an unknown parameter."""
    response = client.get(f"/api/products?{query}")
    assert response.status_code in {200, 422}
    assert response.json.get("items", []) == []


@pytest.mark.parametrize("number", ["-1", "x", "1.0", str(2**63), "9" * 400, "%00", "%ED%A0%80", "1%2F2", "٣"])
def test_invalid_id(client, number):
    """An invalid id gets 404."""
    assert client.get(f"/api/products/{number}").status_code == 404


@pytest.mark.parametrize("tags", ['"', "W/", "x" * 5000, '"\xff"', ",,,", "\t"], ids=repr)
def test_invalid_conditions(client, auth, tags):
    """An invalid list of ETags matches nothing."""
    created = client.post("/api/products", json=product(), headers=auth)
    assert client.get(created.location, headers={"If-None-Match": tags}).status_code == 200
    assert client.delete(created.location, headers=auth | {"If-Match": tags}).status_code == 412


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "ä", "\xff"], ids=repr)
def test_invalid_idempotency_key(client, auth, key):
    """An Idempotency-Key that is empty, too long or not visible ASCII gets 400; the error names it."""
    response = client.post("/api/products", json=product(), headers=auth | {"Idempotency-Key": key})
    assert (response.status_code, response.json["errors"][0]["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_method_not_allowed(client, method):
    """An unsupported method gets 405 with the allowed ones."""
    response = client.open("/api/products", method=method)
    assert (response.status_code, response.content_type) == (405, "application/problem+json")
    assert "POST" in response.headers["Allow"]
