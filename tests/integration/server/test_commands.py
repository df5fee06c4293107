"""`flask token` and `flask seed`, on both databases."""

import pytest
from sqlalchemy import func, select

from app import create_app
from app.extensions import db
from app.models import Product
from tests.integration.conftest import dispose, fresh_database
from tests.support.integration.client import bearer, product
from tests.support.integration.servers import SECRET


@pytest.fixture
def flask(app):
    """Run `flask ARGUMENTS` and return the result."""
    return lambda *arguments: app.test_cli_runner().invoke(args=arguments)


@pytest.fixture
def count(app):
    """Count the products."""

    def read():
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(Product))

    return read


def test_created_token_works(client, flask):
    """`flask token create` prints a token that is valid immediately."""
    created = flask("token", "create", "shop", "--scope", "products")
    assert created.exit_code == 0, created.output
    response = client.post("/api/products", json=product(), headers=bearer(created.output.strip()))
    assert response.status_code == 201


def test_list_hides_tokens(flask):
    """`flask token list` shows names, scopes and times, but neither the token nor its hash."""
    secret = flask("token", "create", "shop", "--scope", "cache", "--scope", "products").output.strip()
    listed = flask("token", "list").output
    assert "shop  cache products" in listed
    assert "never" in listed
    assert secret not in listed
    assert len(max(listed.split(), key=len)) < 20


def test_revoked_token_is_refused(client, flask):
    """`flask token revoke` revokes a token, and fails if it does not exist."""
    secret = flask("token", "create", "shop", "--scope", "products").output.strip()
    assert flask("token", "revoke", "shop").output == "Revoked shop.\n"
    assert client.post("/api/products", json=product(), headers=bearer(secret)).status_code == 401
    again = flask("token", "revoke", "shop")
    assert (again.exit_code, "there is no token 'shop'" in again.output) == (1, True)


def test_token_names_are_unique(flask):
    """A second token with the same name is refused."""
    assert flask("token", "create", "shop", "--scope", "cache").exit_code == 0
    again = flask("token", "create", "shop", "--scope", "cache")
    assert (again.exit_code, "the token 'shop' exists" in again.output) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["shop"],
        ["shop", "--scope", "everything"],
        ["", "--scope", "cache"],
        ["two words", "--scope", "cache"],
        ["shop", "--scope", "cache", "--expires-in", "0d"],
        ["shop", "--scope", "cache", "--expires-in", "never"],
    ],
    ids=repr,
)
def test_invalid_token(flask, arguments):
    """A missing or unknown scope, an invalid name or an invalid lifetime is refused, and no token is created."""
    assert flask("token", "create", *arguments).exit_code == 2
    assert len(flask("token", "list").output.splitlines()) == 1


def test_seed_inserts_missing_products(flask, count):
    """`flask seed` inserts only the missing products, so a second run inserts none."""
    assert "Inserted 30 of 30 sample products." in flask("seed", "--products", "30").output
    assert "Inserted 0 of 30 sample products." in flask("seed", "--products", "30").output
    assert "Inserted 10 of 40 sample products." in flask("seed", "--products", "40").output
    assert count() == 40


def test_seed_with_similar_skus(client, auth, flask):
    """A product with a SKU similar to a sample's does not confuse `flask seed`."""
    for sku in ("SAMPLE-abc", "SAMPLE-00000009-B"):
        assert client.post("/api/products", json=product() | {"sku": sku}, headers=auth).status_code == 201
    assert "Inserted 3 of 3 sample products." in flask("seed", "--products", "3").output


def test_seed_invalidates_the_cached_list(client, flask):
    """A list that was cached before `flask seed` shows the new products afterwards."""
    assert client.get("/api/products").json["items"] == []
    flask("seed", "--products", "3")
    assert len(client.get("/api/products").json["items"]) == 3


def test_seed_refuses_production(postgres):
    """`flask seed` refuses production without --force."""
    environ = {"SECRET_KEY": SECRET, "TRUSTED_HOSTS": "localhost", "DATABASE_URL": fresh_database(postgres)}
    environ["REDIS_URL"] = "redis://127.0.0.1:1"
    app = create_app("production", environ)
    refused = app.test_cli_runner().invoke(args=["seed", "--products", "2"])
    assert (refused.exit_code, "this is production" in refused.output) == (1, True)
    forced = app.test_cli_runner().invoke(args=["seed", "--products", "2", "--force"])
    assert (forced.exit_code, "of 2 sample products." in forced.output) == (0, True)
    dispose(app)
