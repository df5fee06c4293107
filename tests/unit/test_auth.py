"""Who may write: a scope must be declared, and a request must say who it is, before a token is even looked up."""

from types import SimpleNamespace

import pytest
from flask import Flask, g

from app import auth
from app.auth import SCOPES, requires
from app.http.errors import Problem

app = Flask("guarded")
SECRET = "tok_known"
TOKEN = SimpleNamespace(id=7, name="shop", scopes="products other")


@pytest.fixture(autouse=True)
def _one_token(monkeypatch):
    """There is one token, with the scope for products but not for the cache."""
    monkeypatch.setattr(auth.tokens, "find", lambda secret: TOKEN if secret == SECRET else None)


def ask(authorization=None, scope="products"):
    """Ask a guarded view; return its answer, or the refusal."""
    view = requires(scope)(lambda: f"{g.token_id} {g.token_name}")
    with app.test_request_context(headers={"Authorization": authorization} if authorization else {}):
        try:
            return view()
        except Problem as problem:
            return problem


def challenge(problem):
    """Return the status and the WWW-Authenticate header of a refusal."""
    return problem.code, dict(problem.get_headers())["WWW-Authenticate"]


def test_unknown_scope():
    """A scope that is not declared is refused on import: a typing mistake would lock everybody out, or nobody."""
    with pytest.raises(ValueError, match="unknown scope 'product'"):
        requires("product")


@pytest.mark.parametrize("scope", SCOPES)
def test_known_scope(scope):
    """Every declared one can be required, and is in the description of the view."""
    described = requires(scope)(lambda: None)._apidoc
    assert described["manual_doc"]["security"] == [{"token": [scope]}]
    assert {401, 403} <= described["arguments"]["responses"].keys()


def test_allowed():
    """With the token the view answers, and knows whose it is."""
    assert ask(f"Bearer {SECRET}") == "7 shop"


@pytest.mark.parametrize("authorization", [None, "Basic dTpw", "Bearer", "Bearer ", SECRET, f"Token {SECRET}"])
def test_no_token(authorization):
    """Without a bearer token the answer is 401, and says what is wanted."""
    assert challenge(ask(authorization)) == (401, 'Bearer realm="api"')


@pytest.mark.parametrize("token", ["tok_unknown", SECRET[:-1], f"{SECRET}x", SECRET.upper()])
def test_unknown_token(token):
    """With another token it is 401 too, and says that the token is of no use."""
    assert challenge(ask(f"Bearer {token}")) == (401, 'Bearer realm="api", error="invalid_token"')


def test_scope_is_missing():
    """A token without the scope gets 403, and learns which one it lacks."""
    assert challenge(ask(f"Bearer {SECRET}", "cache")) == (
        403,
        'Bearer realm="api", error="insufficient_scope", scope="cache"',
    )


def test_part_of_a_scope(monkeypatch):
    """A scope whose name begins like the one that is needed is another one."""
    monkeypatch.setattr(TOKEN, "scopes", "cache-reader products")
    assert ask(f"Bearer {SECRET}", "cache").code == 403
