"""Idempotency-Key, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from app.db.types import utc_now
from app.extensions import db
from app.models import ApiToken, IdempotencyKey, Product
from app.services import tokens
from tests.integration.conftest import new_token
from tests.support.integration.client import product


@pytest.fixture
def send(client, auth):
    """Create a product with a key, by default always with the same key and client."""
    return lambda body, key="k-1", headers=auth: client.post(
        "/api/products", json=body, headers=headers | {"Idempotency-Key": key}
    )


@pytest.fixture
def count(app):
    """Return a function that counts the rows of a table."""

    def read(model):
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(model))

    return read


def test_repeated_request(send, count):
    """A repeated request gets the first response, including ETag and location, and has no effect."""
    body = product()
    first, second = send(body), send(body)
    assert (first.status_code, second.status_code, count(Product)) == (201, 201, 1)
    assert second.data == first.data
    assert [second.headers[name] for name in ("ETag", "Location")] == [first.headers["ETag"], first.location]
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")


def test_different_body(send, count):
    """A used key with a different body gets 422 and has no effect; the error names the header."""
    send(product())
    response = send(product())
    assert (response.status_code, response.json["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert count(Product) == 1


def test_equivalent_body(client, auth, send):
    """Another order of the fields, or an omitted default, is the same request."""
    body = product()
    first = send(body)
    del body["description"]
    reordered = dict(reversed(body.items()))
    again = client.post("/api/products", json=reordered, headers=auth | {"Idempotency-Key": "k-1"})
    assert again.data == first.data


def test_failed_request(send, count):
    """A failed request stores no key, so that the client can retry with it."""
    existing = product()
    send(existing, "other")
    assert send(product(sku=existing["sku"])).status_code == 409
    assert count(IdempotencyKey) == 1
    assert send(product()).status_code == 201


def test_invalid_request(send):
    """An invalid request stores no key."""
    assert send(product(price=-1)).status_code == 422
    assert send(product()).status_code == 201


def test_keys_of_two_tokens(app, send, count):
    """Two tokens with the same key do not get each other's responses."""
    body = product()
    send(body)
    assert send(body, headers=new_token(app, "products")).status_code == 409
    assert send(product(), headers=new_token(app, "products")).status_code == 201
    assert count(Product) == 2


def test_expired_key(app, send):
    """An expired key can be used for another request."""
    send(product())
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(IdempotencyKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert send(product()).status_code == 201


def test_purge_of_expired_keys(app, send, count):
    """Each new key deletes some expired keys, and no valid one."""
    send(product(), "live")
    with app.app_context(), db.engine.begin() as connection:
        token_id = connection.scalar(select(ApiToken.id))
        old = {"token_id": token_id, "fingerprint": "", "expires_at": utc_now() - timedelta(seconds=1)}
        connection.execute(insert(IdempotencyKey), [old | {"key": f"old-{number}"} for number in range(30)])
    send(product(), "new-1")
    assert count(IdempotencyKey) == 2 + 10
    send(product(), "new-2")
    assert count(IdempotencyKey) == 3


def test_keys_of_a_revoked_token(app, send, count):
    """Revoking a token deletes its keys."""
    send(product())
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(ApiToken.__table__.delete())
    assert count(IdempotencyKey) == 0


def test_concurrent_revocation(send, count, monkeypatch):
    """A token revoked between its lookup and the write gets 401, and the write has no effect."""

    def find_and_revoke(secret):
        token = original_find(secret)
        tokens.revoke(token.name)
        return token

    original_find = tokens.find
    monkeypatch.setattr(tokens, "find", find_and_revoke)
    response = send(product())
    assert (response.status_code, "WWW-Authenticate" in response.headers, count(Product)) == (401, True, 0)
