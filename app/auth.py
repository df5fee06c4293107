"""Bearer tokens (RFC 6750): authentication, and authorisation by scope."""

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask, g, request
from flask_smorest import Blueprint

from app.http.errors import Problem
from app.http.openapi import document
from app.services import tokens

SCOPES = {"products": "create, change and delete products", "cache": "read the cache's statistics and purge it"}

View = Callable[..., Any]


def init_app(app: Flask) -> None:
    """Add the security scheme to the OpenAPI description."""
    scopes = "; ".join(f"`{scope}` ({meaning})" for scope, meaning in SCOPES.items())
    description = f"Create a token with `flask token create NAME --scope …`. Scopes: {scopes}"
    scheme = {"type": "http", "scheme": "bearer", "description": description}
    app.extensions["api"].spec.components.security_scheme("token", scheme)


def require_scope(scope: str) -> Callable[[View], View]:
    """Reject requests without a valid token that has SCOPE; document this in the OpenAPI description."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}; declare it in SCOPES")

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            _authorise(scope)
            return view(*arguments, **named)

        secured: View = Blueprint.doc(security=[{"token": [scope]}])(wrapper)
        return document(responses=[401, 403])(secured)

    return decorate


def _authorise(scope: str) -> None:
    credentials = request.authorization
    if credentials is None or credentials.type != "bearer" or not credentials.token:
        raise _challenge(401, "A bearer token is required.", "")
    token = tokens.find(credentials.token)
    if token is None:
        raise _challenge(401, "The token is unknown, expired or revoked.", ', error="invalid_token"')
    if scope not in token.scopes.split():
        detail = f"The token lacks the scope {scope!r}."
        raise _challenge(403, detail, f', error="insufficient_scope", scope="{scope}"')
    g.token_id, g.token_name = token.id, token.name


def _challenge(status: int, detail: str, parameters: str) -> Problem:
    return Problem(status, detail, headers={"WWW-Authenticate": f'Bearer realm="api"{parameters}'})
