"""Counts each failure of a backend once, by its kind, wherever it is met again on its way up."""

from collections.abc import Mapping

from app.observability import metrics

Kinds = Mapping[type[Exception], str]


def count(backend: str, error: Exception, kinds: Kinds) -> None:
    """Count ERROR as the first of KINDS that it is; one that is none is not the backend's failure."""
    if getattr(error, "counted", False):
        return
    kind = next((kind for base, kind in kinds.items() if isinstance(error, base)), None)
    if kind:
        error.counted = True  # type: ignore[attr-defined]
        metrics.count("backend_errors_total", backend=backend, error_type=kind)
