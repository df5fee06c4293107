"""Bad input, on both databases: a clear answer that names what is wrong, and never a 500."""

import json

import pytest

from tests.support.integration.client import product

SURROGATE = "\ud800"
HUGE = 10**400

BAD_VALUES = {
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


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD_VALUES.items() for value in values], ids=repr
)
def test_a_bad_value_is_named(client, auth, field, value):
    """A value that a field cannot hold answers 422 and names the field, and nothing is stored."""
    answer = client.post("/api/products", json=product(**{field: value}), headers=auth)
    assert (answer.status_code, {error["field"] for error in answer.json["errors"]}) == (422, {field})
    assert {error["in"] for error in answer.json["errors"]} == {"body"}
    assert client.get("/api/products").json["items"] == []


def test_every_bad_field_is_named_at_once(client, auth):
    """All that is wrong with a body is told in one answer: missing, bad and unknown fields."""
    answer = client.post("/api/products", json={"sku": "", "price": -1, "id": 5}, headers=auth)
    assert {error["field"] for error in answer.json["errors"]} == {"sku", "name", "price", "currency", "id"}


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_an_unknown_field_is_refused(client, auth, method):
    """A field that is not part of a product is refused, not passed over."""
    made = client.post("/api/products", json=product(), headers=auth)
    address = "/api/products" if method == "post" else made.location
    answer = client.open(address, method=method, json=product(version=9), headers=auth | {"If-Match": "*"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "version")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_unreadable_body(client, auth, body):
    """A body that is not JSON answers 400 and says why."""
    answer = client.post("/api/products", data=body, headers=auth | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.json["errors"][0]["detail"]


@pytest.mark.parametrize("value", [[], "text", 1, None, True, [{}]], ids=repr)
def test_json_that_is_no_object(client, auth, value):
    """JSON of another shape answers 422."""
    answer = client.post("/api/products", data=json.dumps(value), headers=auth | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json["errors"][0]["in"]) == (422, "body")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", ""]
)
def test_another_media_type(client, auth, kind):
    """A body of another media type answers 415 and says which one is taken."""
    answer = client.post("/api/products", data=json.dumps(product()), headers=auth | {"Content-Type": kind})
    assert (answer.status_code, answer.headers["Accept"]) == (415, "application/json")


def test_a_patch_of_another_media_type(client, auth):
    """A patch of another media type answers 415 with Accept-Patch."""
    made = client.post("/api/products", json=product(), headers=auth)
    answer = client.patch(made.location, data="{}", headers=auth | {"If-Match": "*", "Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "application/merge-patch+json" in answer.headers["Accept-Patch"]


def test_a_body_over_the_limit(client, auth):
    """A body over the limit answers 413, a problem document as any error."""
    answer = client.post("/api/products", json=product(description="x" * 70_000), headers=auth)
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")


@pytest.mark.parametrize("query", QUERIES)
def test_a_bad_query_is_named(client, query):
    """A parameter that cannot be used answers 422 and is named."""
    answer = client.get(f"/api/products?{query}")
    assert (answer.status_code, answer.json["errors"][0]["in"]) == (422, "query")
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("query", ["q=%ED%A0%80", "q=%FF%FE", "q=a%FF", "%FF=1", "q=%"])
def test_a_query_that_is_not_utf8(client, query):
    """Bytes that are no UTF-8 are a text that is in no product, or a parameter that is not known."""
    answer = client.get(f"/api/products?{query}")
    assert answer.status_code in {200, 422}
    assert answer.json.get("items", []) == []


@pytest.mark.parametrize("number", ["-1", "x", "1.0", str(2**63), "9" * 400, "%00", "%ED%A0%80", "1%2F2", "٣"])
def test_a_bad_id(client, number):
    """An id that no product can have answers 404."""
    assert client.get(f"/api/products/{number}").status_code == 404


@pytest.mark.parametrize("tags", ['"', "W/", "x" * 5000, '"\xff"', ",,,", "\t"], ids=repr)
def test_odd_conditions(client, auth, tags):
    """A condition that is no list of ETags matches nothing and breaks nothing."""
    made = client.post("/api/products", json=product(), headers=auth)
    assert client.get(made.location, headers={"If-None-Match": tags}).status_code == 200
    assert client.delete(made.location, headers=auth | {"If-Match": tags}).status_code == 412


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "ä", "\xff"], ids=repr)
def test_a_bad_idempotency_key(client, auth, key):
    """An Idempotency-Key that is empty, too long or not visible ASCII answers 400 and is named."""
    answer = client.post("/api/products", json=product(), headers=auth | {"Idempotency-Key": key})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_a_method_that_is_not_there(client, method):
    """A method that an address does not have answers 405 and says which ones it has."""
    answer = client.open("/api/products", method=method)
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "POST" in answer.headers["Allow"]
