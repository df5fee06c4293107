"""Bearer authentication and authorisation by scope."""

from types import SimpleNamespace

import pytest
from flask import Flask, g

from app import auth
from app.auth import require_scope
from app.http.errors import Problem

app = Flask("guarded")
SECRET = "tok_known"
TOKEN = SimpleNamespace(id=7, name="shop", scopes="products other")


@pytest.fixture(autouse=True)
def _one_token(monkeypatch):
    """Provide one token, with the scope `products` but not `cache`."""
    monkeypatch.setattr(auth.tokens, "find", lambda secret: TOKEN if secret == SECRET else None)


def call(authorization=None, scope="products"):
    """Call a guarded view; return its result or the Problem that it raised."""
    view = require_scope(scope)(lambda: f"{g.token_id} {g.token_name}")
    with app.test_request_context(headers={"Authorization": authorization} if authorization else {}):
        try:
            return view()
        except Problem as problem:
            return problem


def challenge(problem):
    """Return the status and the WWW-Authenticate header."""
    return problem.code, dict(problem.get_headers())["WWW-Authenticate"]


def test_unknown_scope():
    """An undeclared scope fails at import: a typo must neither lock everybody out nor let anybody in."""
    with pytest.raises(ValueError, match="unknown scope 'product'"):
        require_scope("product")


@pytest.mark.parametrize(
    ("method", "path", "scope"), [("post", "/api/products", "products"), ("delete", "/cache", "cache")]
)
def test_description(shared_app, method, path, scope):
    """The OpenAPI description of a guarded view contains the scope and the responses 401 and 403."""
    operation = shared_app.extensions["api"].spec.to_dict()["paths"][path][method]
    assert operation["security"] == [{"token": [scope]}]
    assert {"401", "403"} <= operation["responses"].keys()


def test_valid_token():
    """A valid token with the scope reaches the view, which sees the token's id and name."""
    assert call(f"Bearer {SECRET}") == "7 shop"


@pytest.mark.parametrize("authorization", [None, "Basic dTpw", "Bearer", "Bearer ", SECRET, f"Token {SECRET}"])
def test_missing_token(authorization):
    """A request without a bearer token gets 401 and a challenge."""
    assert challenge(call(authorization)) == (401, 'Bearer realm="api"')


@pytest.mark.parametrize("token", ["tok_unknown", SECRET[:-1], f"{SECRET}x", SECRET.upper()])
def test_unknown_token(token):
    """An unknown token gets 401 with `invalid_token`."""
    assert challenge(call(f"Bearer {token}")) == (401, 'Bearer realm="api", error="invalid_token"')


def test_missing_scope():
    """A token without the scope gets 403 with the name of that scope."""
    assert challenge(call(f"Bearer {SECRET}", "cache")) == (
        403,
        'Bearer realm="api", error="insufficient_scope", scope="cache"',
    )


def test_scope_with_the_same_prefix(monkeypatch):
    """A scope whose name starts with the required one does not match."""
    monkeypatch.setattr(TOKEN, "scopes", "cache-reader products")
    assert call(f"Bearer {SECRET}", "cache").code == 403
