"""ETags, If-None-Match and If-Match."""

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.http.conditional import compute_etag, evaluate_if_none_match, json_response, require_if_match
from app.http.errors import Problem

CURRENT = {"id": 1, "name": "Blue mug"}
ETAG = json_response(CURRENT).headers["ETag"]
app = Flask("conditions")


def change(**headers):
    """Require If-Match for a request with these headers; return the error's status, None if it passes."""
    with app.test_request_context(method="PUT", headers=headers):
        try:
            require_if_match(CURRENT)
        except Problem as problem:
            return problem.code
    return None


def read(etag, status=200):
    """Return the response to a read with this If-None-Match."""
    with app.test_request_context(headers={"If-None-Match": etag}):
        return evaluate_if_none_match(json_response(CURRENT, status))


@given(one=st.binary(max_size=3), other=st.binary(max_size=3))
def test_etag(one, other):
    """Two ETags are equal exactly if the bytes are."""
    assert (compute_etag(one) == compute_etag(other)) == (one == other)


def test_etag_is_strong():
    """An ETag is quoted, strong, and the same in every process."""
    assert compute_etag(b"") == '"e3b0c44298fc1c149afbf4c8996fb924"'


def test_json_response():
    """A JSON response has compact JSON, an ETag, and the given status and headers."""
    response = json_response({"a": [1, None], "b": "é"}, 201, {"Location": "/a"})
    assert response.data == b'{"a":[1,null],"b":"\\u00e9"}'
    assert (response.status_code, response.mimetype, response.headers["Location"]) == (201, "application/json", "/a")
    assert response.headers["ETag"] == compute_etag(response.data)


def test_invalid_number():
    """A number that JSON cannot represent raises ValueError."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_response({"a": float("nan")})


def test_missing_if_match():
    """A change without If-Match gets 428, and the error names the header."""
    with app.test_request_context(method="PUT"), pytest.raises(Problem) as raised:
        require_if_match(CURRENT)
    assert raised.value.code == 428
    assert [(error["in"], error["field"]) for error in raised.value.errors] == [("header", "If-Match")]


@pytest.mark.parametrize("etag", ['"stale"', 'W/"stale"', '""', "garbage", "", ETAG.strip('"')[:-1], f'"{ETAG}"'])
def test_stale(etag):
    """An ETag of another version, or an invalid one, gets 412."""
    assert change(**{"If-Match": etag}) == 412


@pytest.mark.parametrize("etag", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_current(etag):
    """The current ETag allows the change: strong, weak (as a compressing proxy makes it), in a list, or as `*`."""
    assert change(**{"If-Match": etag}) is None


@pytest.mark.parametrize("etag", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_not_modified(etag):
    """The current ETag in If-None-Match gets 304 with the ETag."""
    response = read(etag)
    assert (response.status_code, response.headers["ETag"]) == (304, ETAG)


def test_modified():
    """Another ETag gets the representation."""
    response = read('"stale"')
    assert (response.status_code, response.json) == (200, CURRENT)


def test_error_is_unchanged():
    """An error never becomes a 304."""
    assert read(ETAG, 404).status_code == 404


def test_unconditional():
    """A request without If-None-Match gets no 304."""
    with app.test_request_context():
        assert evaluate_if_none_match(json_response(CURRENT)).status_code == 200
