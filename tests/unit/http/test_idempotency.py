"""Idempotency-Key: its form is checked before anything is done, and a request without one is served as ever."""

import pytest
from flask import Flask

from app.http.errors import Problem
from app.http.idempotency import _fingerprint, idempotent

app = Flask("keys")
WELL_FORMED = ["a", "!", "~", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", '"quoted"']


class DatabaseAskedError(Exception):
    """The check of the key's form is behind us."""


@pytest.fixture
def send(monkeypatch):
    """Return a function that sends a request with the given key to an idempotent view, as far as to the database."""

    def stop():
        raise DatabaseAskedError

    monkeypatch.setattr("app.http.idempotency.transaction", stop)
    view = idempotent(lambda data: f"made {data['name']}")

    def run(**headers):
        with app.test_request_context("/things", method="POST", headers=headers):
            return view({"name": "mug"})

    return run


def fingerprint(data, path="/things", method="POST"):
    """Return what a request is recognised by."""
    with app.test_request_context(path, method=method):
        return _fingerprint(data)


def test_without_a_key(send):
    """Without a key the view is asked, and the database is not."""
    assert send().data == b"made mug"


@pytest.mark.parametrize("key", WELL_FORMED)
def test_well_formed(send, key):
    """Up to 255 visible ASCII characters are a key."""
    with pytest.raises(DatabaseAskedError):
        send(**{"Idempotency-Key": key})


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "x" * 256, "é", "\x7f", "\x01"])
def test_malformed(send, key):
    """Anything else is a 400 that names the header, and nothing is done."""
    with pytest.raises(Problem) as refusal:
        send(**{"Idempotency-Key": key})
    assert refusal.value.code == 400
    assert [(fault["in"], fault["field"]) for fault in refusal.value.errors] == [("header", "Idempotency-Key")]


def test_same_request():
    """The order in which a client writes the fields makes no other request."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_another_request():
    """Another body, path or method does."""
    requests = [({"a": 1},), ({"a": 2},), ({"a": "1"},), ({"a": 1}, "/others"), ({"a": 1}, "/things", "PUT")]
    assert len({fingerprint(*request) for request in requests}) == len(requests)
