"""Idempotency-Key, on both databases: one request, however often it is sent."""

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
    """Create a product with a key, by default always the same and by the same client."""
    return lambda body, key="k-1", headers=auth: client.post(
        "/api/products", json=body, headers=headers | {"Idempotency-Key": key}
    )


@pytest.fixture
def count(app):
    """Return how many rows a table has."""

    def read(model):
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(model))

    return read


def test_a_repeated_request_is_done_once(send, count):
    """The second answer is the first one, down to the ETag and the address, and nothing is made again."""
    body = product()
    first, second = send(body), send(body)
    assert (first.status_code, second.status_code, count(Product)) == (201, 201, 1)
    assert second.data == first.data
    assert [second.headers[name] for name in ("ETag", "Location")] == [first.headers["ETag"], first.location]
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")


def test_another_body_is_refused(send, count):
    """A key that was used with another body answers 422, names the header, and makes nothing."""
    send(product())
    answer = send(product())
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert count(Product) == 1


def test_what_counts_is_what_was_meant(client, auth, send):
    """The same fields in another order, or a default written out, are the same request."""
    body = product()
    first = send(body)
    del body["description"]
    turned = dict(reversed(body.items()))
    again = client.post("/api/products", json=turned, headers=auth | {"Idempotency-Key": "k-1"})
    assert again.data == first.data


def test_a_failed_request_leaves_the_key_free(send, count):
    """A request that failed keeps no key, so that the same one may be sent again when it can succeed."""
    taken = product()
    send(taken, "other")
    assert send(product(sku=taken["sku"])).status_code == 409
    assert count(IdempotencyKey) == 1
    assert send(product()).status_code == 201


def test_a_refused_request_leaves_the_key_free(send):
    """A body that was not valid keeps no key."""
    assert send(product(price=-1)).status_code == 422
    assert send(product()).status_code == 201


def test_a_key_belongs_to_its_token(app, send, count):
    """Two clients that happen to choose the same key do not get each other's answers."""
    body = product()
    send(body)
    assert send(body, headers=new_token(app, "products")).status_code == 409
    assert send(product(), headers=new_token(app, "products")).status_code == 201
    assert count(Product) == 2


def test_an_expired_key_is_free(app, send):
    """After its day a key may be used for another request."""
    send(product())
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(IdempotencyKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert send(product()).status_code == 201


def test_expired_keys_are_swept(app, send, count):
    """Each new key takes expired ones away, a few at a time, and no live one."""
    send(product(), "live")
    with app.app_context(), db.engine.begin() as connection:
        token_id = connection.scalar(select(ApiToken.id))
        old = {"token_id": token_id, "fingerprint": "", "expires_at": utc_now() - timedelta(seconds=1)}
        connection.execute(insert(IdempotencyKey), [old | {"key": f"old-{number}"} for number in range(30)])
    send(product(), "new-1")
    assert count(IdempotencyKey) == 2 + 10
    send(product(), "new-2")
    assert count(IdempotencyKey) == 3


def test_a_revoked_tokens_keys_go_with_it(app, send, count):
    """When a token is revoked its keys are deleted, and no foreign key stands in the way."""
    send(product())
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(ApiToken.__table__.delete())
    assert count(IdempotencyKey) == 0


def test_a_token_revoked_meanwhile(send, count, monkeypatch):
    """A token that is revoked between the check and the write answers 401, and nothing is made."""

    def find_and_revoke(secret):
        token = tokens_found(secret)
        tokens.revoke(token.name)
        return token

    tokens_found = tokens.find
    monkeypatch.setattr(tokens, "find", find_and_revoke)
    answer = send(product())
    assert (answer.status_code, "WWW-Authenticate" in answer.headers, count(Product)) == (401, True, 0)
