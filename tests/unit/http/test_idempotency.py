"""Idempotency-Key: validation of the header and the fingerprint of a request."""

import pytest
from flask import Flask

from app.http.errors import Problem
from app.http.idempotency import _fingerprint, idempotent

app = Flask("keys")
WELL_FORMED = ["a", "!", "~", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", '"quoted"']


class TransactionStartedError(Exception):
    """The key passed validation."""


@pytest.fixture
def send(monkeypatch):
    """Return a function that sends a request to an idempotent view; a transaction raises TransactionStartedError."""

    def stop():
        raise TransactionStartedError

    monkeypatch.setattr("app.http.idempotency.transaction", stop)
    view = idempotent(lambda data: f"made {data['name']}")

    def run(**headers):
        with app.test_request_context("/things", method="POST", headers=headers):
            return view({"name": "mug"})

    return run


def fingerprint(data, path="/things", method="POST"):
    """Return the fingerprint of a request."""
    with app.test_request_context(path, method=method):
        return _fingerprint(data)


def test_without_a_key(send):
    """A request without a key reaches the view without a transaction."""
    assert send().data == b"made mug"


@pytest.mark.parametrize("key", WELL_FORMED)
def test_well_formed(send, key):
    """A key is 1 to 255 visible ASCII characters."""
    with pytest.raises(TransactionStartedError):
        send(**{"Idempotency-Key": key})


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "x" * 256, "é", "\x7f", "\x01"])
def test_malformed(send, key):
    """Any other key gets 400, the error names the header, and no transaction starts."""
    with pytest.raises(Problem) as raised:
        send(**{"Idempotency-Key": key})
    assert raised.value.code == 400
    assert [(error["in"], error["field"]) for error in raised.value.errors] == [("header", "Idempotency-Key")]


def test_same_request():
    """The order of the fields does not change the fingerprint."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_different_request():
    """Another body, path or method changes the fingerprint."""
    requests = [({"a": 1},), ({"a": 2},), ({"a": "1"},), ({"a": 1}, "/others"), ({"a": 1}, "/things", "PUT")]
    assert len({fingerprint(*request) for request in requests}) == len(requests)
