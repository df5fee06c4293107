"""The OpenAPI description, generated from the schemas that validate; it describes errors as problem documents."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from apispec import BasePlugin
from flask import Flask, Response
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from app.http.errors import PROBLEM_JSON, handle_http_exception
from app.http.parsing import StrictParser

API_VERSION = "1"
HEADER_PARAMETERS = "x-header-parameters"  # from `document` to DocumentPlugin; not part of the published description

View = Callable[..., Any]


class ResourceBlueprint(Blueprint):  # type: ignore[misc]  # not annotated
    """A blueprint that parses bodies and query strings strictly."""

    ARGUMENTS_PARSER = StrictParser()


def document(*, headers: Iterable[dict[str, Any]] = (), responses: Iterable[int] = ()) -> Callable[[View], View]:
    """Add request headers and error responses to the description of a view."""
    description: dict[str, Any] = {"responses": {status: HTTPStatus(status).name for status in responses}}
    if headers := list(headers):
        description[HEADER_PARAMETERS] = headers
    decorate: Callable[[View], View] = Blueprint.doc(**description)
    return decorate


class FieldProblem(Schema):
    """An invalid field."""

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
    """An Api that returns and describes errors as problem documents."""

    ERROR_SCHEMA = ProblemDocument

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Return a problem document; flask-smorest registers this method for HTTPException, in place of errors.py's."""
        return handle_http_exception(error)


class DocumentPlugin(BasePlugin):
    """Completes what flask-smorest generates: header parameters, and the media type of errors."""

    def operation_helper(self, *, operations: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        """Append the headers to the parameters; Blueprint.doc() itself would replace the query parameters."""
        for operation in operations.values():
            if headers := operation.pop(HEADER_PARAMETERS, None):
                operation.setdefault("parameters", []).extend(headers)

    def response_helper(self, response: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Set the media type; the response components are errors only."""
        content = response.get("content")
        return {"content": {PROBLEM_JSON: content["application/json"]}} if content else {}


def init_app(app: Flask) -> None:
    """Serve /api/openapi.json."""
    app.config.update(
        API_TITLE="Products",
        API_VERSION=API_VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
    )
    app.extensions["api"] = ProblemApi(app, spec_kwargs={"extra_plugins": [DocumentPlugin()]})
