"""One product through the API, on both databases: made, read, replaced, changed, deleted."""

import re

import pytest

from tests.support.integration.client import product

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def made(client, auth):
    """A product that is there, as the answer that made it."""
    answer = client.post("/api/products", json=product(), headers=auth)
    assert answer.status_code == 201, answer.text
    return answer


@pytest.fixture
def patch(client, auth, made):
    """Send a merge patch to the product; by default with the ETag it has."""

    def send(body, match=None):
        headers = auth | MERGE_PATCH | {"If-Match": match or made.headers["ETag"]}
        return client.patch(made.location, json=body, headers=headers)

    return send


def test_create(client, auth):
    """A new product answers 201 with its address, its ETag and all that was sent."""
    sent = product(description="Two\nlines")
    answer = client.post("/api/products", json=sent, headers=auth)
    assert (answer.status_code, answer.location) == (201, f"/api/products/{answer.json['id']}")
    assert answer.json | sent == answer.json
    assert answer.headers["ETag"].startswith('"')


def test_read(client, made):
    """The address of a new product answers what creating it answered, byte for byte and with the same ETag."""
    answer = client.get(made.location)
    assert (answer.status_code, answer.data) == (200, made.data)
    assert answer.headers["ETag"] == made.headers["ETag"]


def test_times_have_an_offset(made):
    """Times are RFC 3339 with an offset, on a database that keeps none too."""
    assert RFC_3339.fullmatch(made.json["created_at"])
    assert RFC_3339.fullmatch(made.json["updated_at"])


def test_head_has_the_headers_of_get(client, made):
    """HEAD answers GET's headers without its body."""
    got, head = client.get(made.location), client.head(made.location)
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]


def test_replace(client, auth, made):
    """PUT replaces every field, what it leaves out becomes the default, and the version grows."""
    sent = product()
    del sent["description"]
    answer = client.put(made.location, json=sent, headers=auth | {"If-Match": made.headers["ETag"]})
    assert (answer.status_code, answer.json["version"]) == (200, 2)
    assert answer.json | sent | {"description": ""} == answer.json
    assert answer.headers["ETag"] == client.get(made.location).headers["ETag"] != made.headers["ETag"]


def test_merge_patch(made, patch):
    """PATCH changes the fields that it names and no other."""
    answer = patch({"price": 5})
    expected = made.json | {"price": 5, "version": 2, "updated_at": answer.json["updated_at"]}
    assert (answer.status_code, answer.json) == (200, expected)
    assert answer.json["updated_at"] > made.json["updated_at"]


def test_null_takes_the_description_away(patch):
    """In a merge patch null removes what may be missing, and only that."""
    assert patch({"description": None}).json["description"] == ""
    assert patch({"name": None}, match="*").status_code == 422


def test_delete(client, auth, made):
    """A deleted product is gone, and its id is never used again."""
    assert client.delete(made.location, headers=auth | {"If-Match": made.headers["ETag"]}).status_code == 204
    assert client.get(made.location).status_code == 404
    assert client.post("/api/products", json=product(), headers=auth).location != made.location


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_change_without_if_match_is_refused(client, auth, made, method):
    """A change that does not say which version it changes answers 428, names the header, and changes nothing."""
    kind = MERGE_PATCH if method == "patch" else {}
    answer = client.open(made.location, method=method, json=product(), headers=auth | kind)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (428, "If-Match")
    assert client.get(made.location).data == made.data


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_stale_change_is_refused(client, auth, made, patch, method):
    """A change of a version that is no longer there answers 412, and changes nothing."""
    newer = patch({"price": 7})
    headers = auth | {"If-Match": made.headers["ETag"]} | (MERGE_PATCH if method == "patch" else {})
    assert client.open(made.location, method=method, json=product(), headers=headers).status_code == 412
    assert client.get(made.location).data == newer.data


@pytest.mark.parametrize("spelling", ["*", "W/{}", '"other", {}'])
def test_if_match_spellings(made, patch, spelling):
    """If-Match takes a star, a tag that a compressing proxy weakened, and a list."""
    assert patch({"price": 8}, match=spelling.format(made.headers["ETag"])).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize("number", [0, 2**63 - 1])
def test_a_missing_product(client, auth, method, number):
    """What is not there answers 404, whatever is asked of it."""
    headers = auth | {"If-Match": "*"} | (MERGE_PATCH if method == "patch" else {})
    body = None if method in {"get", "delete"} else product()
    assert client.open(f"/api/products/{number}", method=method, json=body, headers=headers).status_code == 404


def test_a_taken_sku(client, auth, made, patch):
    """A second product with the same SKU answers 409 and names the field, when it is made and when it is changed."""
    again = client.post("/api/products", json=product(sku=made.json["sku"]), headers=auth)
    assert (again.status_code, again.json["errors"][0]["field"]) == (409, "sku")
    other = client.post("/api/products", json=product(), headers=auth)
    assert patch({"sku": other.json["sku"]}).status_code == 409


def test_an_error_is_a_problem_document(client):
    """An error is application/problem+json with the status, the path, and the id that its log lines have."""
    answer = client.get("/api/products/0")
    assert answer.content_type == "application/problem+json"
    assert (answer.json["status"], answer.json["instance"]) == (404, "/api/products/0")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]


def test_an_answer_names_the_fields_that_the_schema_names(client, made):
    """The list, the single read and marshmallow's dump are the same JSON."""
    from app.models import Product  # noqa: PLC0415
    from app.schemas.product import Product as Schema  # noqa: PLC0415

    one = client.get(made.location).json
    assert client.get("/api/products").json["items"] == [one]
    with client.application.app_context():
        row = Product.query.one()
        assert Schema().dump(row) == one
