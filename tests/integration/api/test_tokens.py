"""Bearer tokens, on both databases: who is let in, what is kept, and when their use is noted."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from app.db.types import utc_now
from app.extensions import db
from app.models import ApiToken
from app.services import tokens
from tests.integration.conftest import new_token
from tests.support.integration.client import bearer, product

PROTECTED = [
    ("post", "/api/products"),
    ("put", "/api/products/1"),
    ("patch", "/api/products/1"),
    ("delete", "/api/products/1"),
    ("get", "/cache"),
    ("delete", "/cache"),
    ("delete", "/cache/tags/products"),
]
BAD = ["", "Bearer", "Bearer ", "Bearer x", "Bearer tok_\xff", "Basic dTpw", "Basic %%%", "Digest a=b", "tok_x", "\t"]


@pytest.fixture
def create(client):
    """Try to create a product with the given headers."""
    return lambda headers: client.post("/api/products", json=product(), headers=headers)


@pytest.fixture
def row(app):
    """Return the one token that there is, as it is stored."""

    def read():
        with app.app_context():
            return db.session.execute(select(ApiToken.__table__)).one()

    return read


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_a_token(client, method, path):
    """What changes something, and what shows the cache, answers 401 with a challenge when nobody is named."""
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("header", BAD, ids=repr)
def test_with_garbage(create, header):
    """A header that holds no known token answers 401 with a challenge."""
    answer = create({"Authorization": header})
    assert (answer.status_code, answer.headers["WWW-Authenticate"][:18]) == (401, 'Bearer realm="api"')


def test_reading_needs_no_token(client):
    """Reading is open to all, and a token that is no good does not close it."""
    assert client.get("/api/products", headers=bearer("wrong")).status_code == 200


def test_an_expired_token(app, create):
    """A token is refused from the moment that it expires."""
    headers = new_token(app, "products", lifetime=timedelta(days=1))
    assert create(headers).status_code == 201
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ApiToken).values(expires_at=utc_now()))
    answer = create(headers)
    assert (answer.status_code, "invalid_token" in answer.headers["WWW-Authenticate"]) == (401, True)


def test_a_revoked_token(app, create, row):
    """A revoked token is refused from the next request on."""
    headers = new_token(app, "products")
    assert create(headers).status_code == 201
    name = row().name
    with app.app_context():
        assert tokens.revoke(name)
    assert create(headers).status_code == 401


@pytest.mark.parametrize(("scope", "refused", "allowed"), [("cache", 0, 4), ("products", 4, 0)])
def test_the_wrong_scope(app, client, scope, refused, allowed):
    """A token answers 403 where it lacks the scope, and the challenge names the scope that it lacks."""
    headers = new_token(app, scope)
    method, path = PROTECTED[refused]
    answer = client.open(path, method=method, json=product(), headers=headers)
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope=' in answer.headers["WWW-Authenticate"]
    method, path = PROTECTED[allowed]
    assert client.open(path, method=method, json=product(), headers=headers).status_code < 300


def test_only_the_hash_is_stored(app, row):
    """The database holds a token's SHA-256 and nothing of the token itself."""
    secret = new_token(app)["Authorization"].removeprefix("Bearer ")
    assert tokens.digest(secret) == row().hash
    assert secret.removeprefix("tok_")[:10] not in str(row())


def test_use_is_noted_once_a_minute(app, create, row):
    """A token's use is written down, but in the minute after that no request writes it again."""
    headers = new_token(app, "products")
    assert row().last_used_at is None
    create(headers)
    first = row().last_used_at
    create(headers)
    assert row().last_used_at == first is not None


def test_use_is_noted_again_later(app, create, row):
    """After a minute the next use is written down."""
    headers = new_token(app, "products")
    long_ago = utc_now() - timedelta(minutes=1, seconds=1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ApiToken).values(last_used_at=long_ago))
    stored = row().last_used_at
    create(headers)
    assert row().last_used_at > stored


def test_looking_a_token_up_takes_one_statement(app, client):
    """A token in use costs one read: a refused request sends the database nothing else."""
    headers = new_token(app, "products")
    client.post("/api/products", json=product(), headers=headers)
    statements = []
    with app.app_context():
        engine = db.engine
    listen = lambda _c, _cursor, statement, *_: statements.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    try:
        client.get("/cache", headers=headers)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    assert len(statements) == 1
