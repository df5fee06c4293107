"""/api/docs: the OpenAPI description as an HTML page without scripts or third-party assets."""

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, url_for
from werkzeug.wrappers import Response

blp = Blueprint("docs", __name__)

METHODS = ("get", "post", "put", "patch", "delete")


@blp.route("/")
def home() -> Response:
    """Redirect to the documentation."""
    return redirect(url_for("docs.page"))


@blp.route("/api/docs")
def page() -> str:
    """Render every operation with its parameters, body and responses."""
    spec = current_app.extensions["api"].spec.to_dict()
    return render_template(
        "docs.html", spec=spec, operations=operations(spec), resolve=lambda item: resolve(spec, item)
    )


def operations(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Group the operations by tag; add method, path and the path's parameters to each."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for path, item in spec["paths"].items():
        for method in METHODS:
            if operation := item.get(method):
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                complete = {**operation, "method": method.upper(), "path": path, "parameters": parameters}
                grouped.setdefault(operation["tags"][0], []).append(complete)
    return grouped


def resolve(spec: dict[str, Any], item: Any) -> Any:
    """Return the target of a `$ref`, or the item itself."""
    if not isinstance(item, dict) or "$ref" not in item:
        return item
    target: Any = spec
    for step in item["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return target
