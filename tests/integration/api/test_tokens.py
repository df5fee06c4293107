"""Bearer tokens, on both databases."""

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
MALFORMED = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer tok_\xff",
    "Basic dTpw",
    "Basic %%%",
    "Digest a=b",
    "tok_x",
    "\t",
]


@pytest.fixture
def create(client):
    """Try to create a product with the given headers."""
    return lambda headers: client.post("/api/products", json=product(), headers=headers)


@pytest.fixture
def row(app):
    """Return a function that reads the only token's row."""

    def read():
        with app.app_context():
            return db.session.execute(select(ApiToken.__table__)).one()

    return read


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_missing_token(client, method, path):
    """Writes and cache statistics without a token get 401 with a challenge."""
    response = client.open(path, method=method)
    assert (response.status_code, response.content_type) == (401, "application/problem+json")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("header", MALFORMED, ids=repr)
def test_invalid_header(create, header):
    """An Authorization header without a known token gets 401 with a challenge."""
    response = create({"Authorization": header})
    assert (response.status_code, response.headers["WWW-Authenticate"][:18]) == (401, 'Bearer realm="api"')


def test_public_read(client):
    """Reads do not need a token and ignore an invalid one."""
    assert client.get("/api/products", headers=bearer("wrong")).status_code == 200


def test_expired_token(app, create):
    """A token gets 401 from the moment it expires."""
    headers = new_token(app, "products", lifetime=timedelta(days=1))
    assert create(headers).status_code == 201
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ApiToken).values(expires_at=utc_now()))
    response = create(headers)
    assert (response.status_code, "invalid_token" in response.headers["WWW-Authenticate"]) == (401, True)


def test_revoked_token(app, create, row):
    """A revoked token gets 401 from the next request on."""
    headers = new_token(app, "products")
    assert create(headers).status_code == 201
    name = row().name
    with app.app_context():
        assert tokens.revoke(name)
    assert create(headers).status_code == 401


@pytest.mark.parametrize(("scope", "denied", "allowed"), [("cache", 0, 4), ("products", 4, 0)])
def test_missing_scope(app, client, scope, denied, allowed):
    """A token without the scope gets 403, and the challenge names the scope."""
    headers = new_token(app, scope)
    method, path = PROTECTED[denied]
    response = client.open(path, method=method, json=product(), headers=headers)
    assert response.status_code == 403
    assert 'error="insufficient_scope", scope=' in response.headers["WWW-Authenticate"]
    method, path = PROTECTED[allowed]
    assert client.open(path, method=method, json=product(), headers=headers).status_code < 300


def test_stored_hash(app, row):
    """The database stores a token's SHA-256 and no part of the token."""
    secret = new_token(app)["Authorization"].removeprefix("Bearer ")
    assert tokens.digest(secret) == row().hash
    assert secret.removeprefix("tok_")[:10] not in str(row())


def test_last_use_once_a_minute(app, create, row):
    """The first use updates last_used_at; a use within a minute does not."""
    headers = new_token(app, "products")
    assert row().last_used_at is None
    create(headers)
    first = row().last_used_at
    create(headers)
    assert row().last_used_at == first is not None


def test_last_use_after_a_minute(app, create, row):
    """A use after a minute updates last_used_at again."""
    headers = new_token(app, "products")
    long_ago = utc_now() - timedelta(minutes=1, seconds=1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ApiToken).values(last_used_at=long_ago))
    stored = row().last_used_at
    create(headers)
    assert row().last_used_at > stored


def test_one_statement_per_lookup(app, client):
    """The lookup of a recently used token sends one statement."""
    headers = new_token(app, "products")
    client.post("/api/products", json=product(), headers=headers)
    statements = []
    with app.app_context():
        engine = db.engine
    record = lambda _c, _cursor, statement, *_: statements.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", record)
    try:
        client.get("/cache", headers=headers)
    finally:
        event.remove(engine, "before_cursor_execute", record)
    assert len(statements) == 1
