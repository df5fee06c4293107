"""Bearer tokens (RFC 6750): who asks, and whether the token's scopes allow it."""

import functools
from collections.abc import Callable
from typing import Any

from flask import g, request

from app.http.documentation import describe
from app.http.errors import Problem
from app.services import tokens

SCOPES = {"products": "create, change and delete products", "cache": "read the cache's statistics and purge it"}

View = Callable[..., Any]


def requires(scope: str) -> Callable[[View], View]:
    """Refuse the request unless it carries a live token with SCOPE; document that in the OpenAPI description."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}; declare it in SCOPES")

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(*arguments: Any, **named: Any) -> Any:
            _authenticate(scope)
            return view(*arguments, **named)

        described = describe(answer, responses={401: "UNAUTHORIZED", 403: "FORBIDDEN"})
        described.setdefault("manual_doc", {})["security"] = [{"token": [scope]}]
        return answer

    return decorate


def _authenticate(scope: str) -> None:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise _refused(401, "This needs a bearer token.", "")
    token = tokens.find(given.token)
    if token is None:
        raise _refused(401, "The token is unknown, expired or revoked.", ', error="invalid_token"')
    if scope not in token.scopes.split():
        detail = f"The token lacks the scope {scope!r}."
        raise _refused(403, detail, f', error="insufficient_scope", scope="{scope}"')
    g.token_id, g.token_name = token.id, token.name


def _refused(status: int, detail: str, parameters: str) -> Problem:
    return Problem(status, detail, headers={"WWW-Authenticate": f'Bearer realm="api"{parameters}'})
