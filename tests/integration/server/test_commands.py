"""The commands, on both databases: `flask token …` and `flask seed`."""

import pytest
from sqlalchemy import func, select

from app import create_app
from app.extensions import db
from app.models import Product
from tests.integration.conftest import dispose
from tests.support.integration.client import bearer, product
from tests.support.integration.servers import SECRET


@pytest.fixture
def flask(app):
    """Run `flask WORDS…` and return the result."""
    return lambda *words: app.test_cli_runner().invoke(args=words)


@pytest.fixture
def count(app):
    """Return how many products there are."""

    def read():
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(Product))

    return read


def test_a_token_that_was_made_works(client, flask):
    """`flask token create` prints a token that is good for its scopes at once."""
    made = flask("token", "create", "shop", "--scope", "products")
    assert made.exit_code == 0, made.output
    answer = client.post("/api/products", json=product(), headers=bearer(made.output.strip()))
    assert answer.status_code == 201


def test_the_list_never_shows_a_token(flask):
    """`flask token list` shows names, scopes and times, and neither the token nor its hash."""
    secret = flask("token", "create", "shop", "--scope", "cache", "--scope", "products").output.strip()
    listed = flask("token", "list").output
    assert "shop  cache products" in listed
    assert "never" in listed
    assert secret not in listed
    assert len(max(listed.split(), key=len)) < 20


def test_a_revoked_token_is_refused(client, flask):
    """`flask token revoke` ends a token, and says so when there is none."""
    secret = flask("token", "create", "shop", "--scope", "products").output.strip()
    assert flask("token", "revoke", "shop").output == "Revoked shop.\n"
    assert client.post("/api/products", json=product(), headers=bearer(secret)).status_code == 401
    again = flask("token", "revoke", "shop")
    assert (again.exit_code, "there is no token called 'shop'" in again.output) == (1, True)


def test_a_name_is_taken_once(flask):
    """A second token of the same name is refused, and the first goes on."""
    assert flask("token", "create", "shop", "--scope", "cache").exit_code == 0
    again = flask("token", "create", "shop", "--scope", "cache")
    assert (again.exit_code, "there is a token called 'shop'" in again.output) == (1, True)


@pytest.mark.parametrize(
    "words",
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
def test_a_token_that_cannot_be(flask, words):
    """A token without a scope, of an unknown one, with an odd name or lifetime is refused, and none is made."""
    assert flask("token", "create", *words).exit_code == 2
    assert len(flask("token", "list").output.splitlines()) == 1


def test_seed_fills_up(flask, count):
    """`flask seed` adds what is missing up to the number asked for, and a second run adds nothing."""
    assert "30 added, 30 wanted." in flask("seed", "--products", "30").output
    assert "0 added, 30 wanted." in flask("seed", "--products", "30").output
    assert "10 added, 40 wanted." in flask("seed", "--products", "40").output
    assert count() == 40


def test_seed_beside_names_like_its_own(client, auth, flask):
    """A product that somebody named like a sample does not confuse `flask seed`."""
    for sku in ("SAMPLE-abc", "SAMPLE-00000009-B"):
        assert client.post("/api/products", json=product() | {"sku": sku}, headers=auth).status_code == 201
    assert "3 added, 3 wanted." in flask("seed", "--products", "3").output


def test_seed_empties_the_cached_list(client, flask):
    """A list that was cached before `flask seed` shows the new products after it."""
    assert client.get("/api/products").json["items"] == []
    flask("seed", "--products", "3")
    assert len(client.get("/api/products").json["items"]) == 3


def test_seed_refuses_production(postgres_url):
    """In production samples would be for sale, so `flask seed` does nothing there without --force."""
    environ = {"SECRET_KEY": SECRET, "TRUSTED_HOSTS": "localhost", "DATABASE_URL": postgres_url}
    environ["REDIS_URL"] = "redis://127.0.0.1:1"
    app = create_app("production", environ)
    refused = app.test_cli_runner().invoke(args=["seed", "--products", "2"])
    assert (refused.exit_code, "this is production" in refused.output) == (1, True)
    forced = app.test_cli_runner().invoke(args=["seed", "--products", "2", "--force"])
    assert (forced.exit_code, "2 wanted." in forced.output) == (0, True)
    dispose(app)
