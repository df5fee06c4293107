"""Validators and conditions: the same bytes have the same tag, and no change is made to what one has not seen."""

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.http.conditional import compute_etag, evaluate_if_none_match, json_response, require_if_match
from app.http.errors import Problem

CURRENT = {"id": 1, "name": "Blue mug"}
TAG = json_response(CURRENT).headers["ETag"]
app = Flask("conditions")


def change(**headers):
    """Ask for a change with these headers; return the refusal's status, None when it is allowed."""
    with app.test_request_context(method="PUT", headers=headers):
        try:
            require_if_match(CURRENT)
        except Problem as problem:
            return problem.code
    return None


def read(tag, status=200):
    """Return the answer to a read that names a tag."""
    with app.test_request_context(headers={"If-None-Match": tag}):
        return evaluate_if_none_match(json_response(CURRENT, status))


@given(one=st.binary(max_size=3), other=st.binary(max_size=3))
def test_etag(one, other):
    """Two tags are equal exactly if the bytes are."""
    assert (compute_etag(one) == compute_etag(other)) == (one == other)


def test_etag_is_strong():
    """A tag is quoted, strong, and the same in every process."""
    assert compute_etag(b"") == '"e3b0c44298fc1c149afbf4c8996fb924"'


def test_answer():
    """An answer is compact JSON with its own tag, status and headers."""
    answer = json_response({"a": [1, None], "b": "é"}, 201, {"Location": "/a"})
    assert answer.data == b'{"a":[1,null],"b":"\\u00e9"}'
    assert (answer.status_code, answer.mimetype, answer.headers["Location"]) == (201, "application/json", "/a")
    assert answer.headers["ETag"] == compute_etag(answer.data)


def test_answer_is_json():
    """A number that JSON does not have fails here, not in the client."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_response({"a": float("nan")})


def test_without_if_match():
    """A change that does not say which version it changes is a 428 that names the header."""
    with app.test_request_context(method="PUT"), pytest.raises(Problem) as refusal:
        require_if_match(CURRENT)
    assert refusal.value.code == 428
    assert [(fault["in"], fault["field"]) for fault in refusal.value.errors] == [("header", "If-Match")]


@pytest.mark.parametrize("tag", ['"stale"', 'W/"stale"', '""', "garbage", "", TAG.strip('"')[:-1], f'"{TAG}"'])
def test_stale(tag):
    """Another version's tag, or a text that is none, is a 412."""
    assert change(**{"If-Match": tag}) == 412


@pytest.mark.parametrize("tag", [TAG, f"W/{TAG}", f'"other", {TAG}', "*"])
def test_current(tag):
    """The current tag allows the change, weak as a compressing proxy makes it, among others, or as a star."""
    assert change(**{"If-Match": tag}) is None


@pytest.mark.parametrize("tag", [TAG, f"W/{TAG}", f'"other", {TAG}', "*"])
def test_not_modified(tag):
    """Whoever names the current tag gets 304, without a body and with the tag."""
    answer = read(tag)
    assert (answer.status_code, answer.headers["ETag"]) == (304, TAG)


def test_modified():
    """Whoever names another gets the representation."""
    answer = read('"stale"')
    assert (answer.status_code, answer.json) == (200, CURRENT)


def test_only_a_success_is_unchanged():
    """An error is never turned into a 304."""
    assert read(TAG, 404).status_code == 404


def test_unconditional():
    """Without If-None-Match there is no 304."""
    with app.test_request_context():
        assert evaluate_if_none_match(json_response(CURRENT)).status_code == 200
