"""Record the certificate's status for ops and Prometheus. As a script: the health check of the certbot service."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("CERTIFICATES", "/certificates"))
STATUS, METRICS = HOME / "status.json", HOME / "certificates.prom"
INTERVAL_S = max(1.0, float(os.environ.get("RENEW_SECONDS") or 12 * 3600))  # twice a day, as Let's Encrypt recommends
MAX_ROUND_S = 1200  # two runs of certbot
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
UNKNOWN = {"names": [], "issuer": "unknown", "placeholder": False, "not_after": "1970-01-01T00:00:00Z"}


def record(found: dict[str, Any], error: str) -> int:
    """Write the status files and log the error; return the exit code.

    Without a readable certificate, keep the description of the last one.
    """
    before, now = read(STATUS), datetime.now(UTC).strftime(TIME_FORMAT)
    known = found or {name: before.get(name, value) for name, value in UNKNOWN.items()}
    since = (before.get("failing_since") or now) if error else None
    if error:
        line = {"time": now, "level": "ERROR", "logger": "certificates", "message": error}
        print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201 - the container's log
    try:
        write_json(STATUS, {**known, "checked": now, "interval": INTERVAL_S, "error": error, "failing_since": since})
        write(METRICS, format_metrics(known["not_after"], now, failing=bool(error)))
    except OSError as failed:
        print(f"cannot write the status: {failed}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return int(bool(error))


def format_metrics(not_after: str, checked: str, *, failing: bool) -> str:
    """Return the metrics: https://prometheus.io/docs/instrumenting/exposition_formats/."""
    metrics = {
        "certificate_not_after_timestamp_seconds": ("When the certificate expires.", epoch(not_after)),
        "certificate_renewal_failing": (
            "Whether the certificate could not be obtained, renewed or served.",
            int(failing),
        ),
        "certificate_last_check_timestamp_seconds": ("When the certificate was last checked.", epoch(checked)),
    }
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, (text, value) in metrics.items()
    )


def is_unhealthy() -> bool:
    """Whether the last check failed, or none has run for two intervals."""
    found = read(STATUS)
    is_late = found and time.time() - epoch(found["checked"]) > 2 * INTERVAL_S + MAX_ROUND_S
    return bool(found.get("error") or is_late)


def epoch(text: str) -> int:
    """Return a time as Unix time."""
    return int(datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC).timestamp())


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; an empty one if it is missing or truncated."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file with JSON."""
    write(path, json.dumps(value))


def write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(is_unhealthy())
