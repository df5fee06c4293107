"""The request id."""

import re

import pytest

ID = "trace-1234_5678.9"


@pytest.fixture
def proxied(shared_app):
    """A client of an application behind one proxy."""
    return shared_app.test_client()


def response_id(client, value):
    """Return the request id of the response to a request with this X-Request-ID."""
    return client.get("/health", headers={"X-Request-ID": value}).headers["X-Request-ID"]


def is_generated(request_id):
    """Return whether the application generated the id: 128 random bits."""
    return re.fullmatch("[0-9a-f]{32}", request_id) is not None


def test_id_from_trusted_proxy(proxied):
    """The id of a trusted proxy is accepted."""
    assert response_id(proxied, ID) == ID


def test_id_from_client_is_replaced(client):
    """Without a trusted proxy the id of a client is replaced."""
    assert is_generated(response_id(client, ID))


@pytest.mark.parametrize(
    "value", ["", "short", "a" * 65, "has blank 1", "semi;colon", "é" * 8, '"quoted"', "a\tb\tc\td\te"]
)
def test_malformed_id_is_replaced(proxied, value):
    """A malformed id is replaced, even from the proxy."""
    assert is_generated(response_id(proxied, value))


def test_ids_differ(client):
    """Each request has a different id."""
    assert response_id(client, "") != response_id(client, "")
