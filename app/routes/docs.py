"""/api/docs: the OpenAPI description as a page for people, with nothing from another host and no script."""

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, url_for
from werkzeug.wrappers import Response

blp = Blueprint("docs", __name__)

METHODS = ("get", "post", "put", "patch", "delete")


@blp.route("/")
def home() -> Response:
    """Send a person who opens the bare address to the page."""
    return redirect(url_for("docs.page"))


@blp.route("/api/docs")
def page() -> str:
    """Show every operation with its parameters, body and answers."""
    spec = current_app.extensions["api"].spec.to_dict()
    return render_template(
        "docs.html", spec=spec, operations=operations(spec), resolve=lambda item: resolve(spec, item)
    )


def operations(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations by tag, each with its method, path and all of its parameters."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for path, item in spec["paths"].items():
        for method in METHODS:
            if operation := item.get(method):
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                whole = {**operation, "method": method.upper(), "path": path, "parameters": parameters}
                grouped.setdefault(operation["tags"][0], []).append(whole)
    return grouped


def resolve(spec: dict[str, Any], item: Any) -> Any:
    """Return what a `$ref` stands for, or the item itself."""
    if not isinstance(item, dict) or "$ref" not in item:
        return item
    found: Any = spec
    for step in item["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found
