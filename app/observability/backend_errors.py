"""Count each backend failure exactly once."""

from collections.abc import Mapping

from app.observability import metrics

ErrorTypes = Mapping[type[Exception], str]


def count(backend: str, error: Exception, types: ErrorTypes) -> None:
    """Count ERROR under the first matching type; other errors are not the backend's failure.

    An error passes several handlers on its way up; only the first counts it.
    """
    if getattr(error, "is_counted", False):
        return
    error_type = next((name for base, name in types.items() if isinstance(error, base)), None)
    if error_type:
        error.is_counted = True  # type: ignore[attr-defined]
        metrics.increment("backend_errors_total", backend=backend, error_type=error_type)
