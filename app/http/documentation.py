"""Adds to the OpenAPI description of a view what its decorators demand: headers, and answers that they give."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

View = Callable[..., Any]


def describe(view: View, headers: tuple[dict[str, Any], ...] = (), responses: Mapping[int, str] | None = None) -> Any:
    """Note header parameters and error responses (by status: the name of its component) beside the view's own.

    Returns the view's description as flask-smorest keeps it, a copy that belongs to this view alone.
    """
    described = view.__dict__["_apidoc"] = deepcopy(getattr(view, "_apidoc", {}))
    arguments = described.setdefault("arguments", {})
    arguments.setdefault("parameters", []).extend(deepcopy(header) for header in headers)
    arguments.setdefault("responses", {}).update(responses or {})
    return described


def takes(*headers: dict[str, Any], answers: Mapping[int, str] | None = None) -> Callable[[View], View]:
    """Decorate a view that reads these headers and may answer so."""

    def decorate(view: View) -> View:
        describe(view, headers, answers)
        return view

    return decorate
