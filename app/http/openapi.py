"""The OpenAPI description, made from the same schemas that validate; errors in it are problem documents."""

import http
from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint
from flask_smorest.utils import prepare_response
from marshmallow import Schema, fields

from app.auth import SCOPES
from app.http.parsing import StrictParser

API_VERSION = "1"
NO_BODY = {204, 304}


class ResourceBlueprint(Blueprint):  # type: ignore[misc]  # not annotated
    """A blueprint whose bodies and queries are read strictly."""

    ARGUMENTS_PARSER = StrictParser()


class FieldProblem(Schema):
    """One field that was wrong."""

    location = fields.String(data_key="in", required=True)
    field = fields.String(required=True)
    detail = fields.String(required=True)


class ProblemDocument(Schema):
    """An error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    request_id = fields.String(required=True, allow_none=True)
    errors = fields.List(fields.Nested(FieldProblem))


class ProblemApi(Api):  # type: ignore[misc]
    """An Api whose error responses are described as what they are."""

    ERROR_SCHEMA = ProblemDocument

    def _register_error_handlers(self) -> None:
        """Leave errors to app.errors."""

    def _register_responses(self) -> None:
        described: list[tuple[str, dict[str, Any]]] = [("DEFAULT_ERROR", {"description": "Any other error"})]
        # with the aliases: Python 3.13 renamed some
        described += [(name, {"description": status.phrase}) for name, status in http.HTTPStatus.__members__.items()]
        for name, response in described:
            if not (name in http.HTTPStatus.__members__ and http.HTTPStatus[name] in NO_BODY):
                response["schema"] = ProblemDocument
            prepare_response(response, self.spec, "application/problem+json")
            self.spec.components.response(name, response, lazy=True)


def init_app(app: Flask) -> None:
    """Serve /api/openapi.json."""
    app.config.update(
        API_TITLE="Products",
        API_VERSION=API_VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = ProblemApi(app)
    flow = "Made by `flask token create NAME --scope …`. Scopes: "
    flow += "; ".join(f"`{scope}` ({meaning})" for scope, meaning in SCOPES.items())
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "description": flow})
    app.extensions["api"] = api
