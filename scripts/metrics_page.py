"""Writes docs/metrics.md from the declarations of metrics; --check compares instead."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from generated import write_or_check  # noqa: E402

from app.observability.metric_declarations import DECLARATIONS, Metric  # noqa: E402 - found by the line above

PAGE = ROOT / "docs/metrics.md"
INTRODUCTION = """\
# Metrics

Made by `scripts/metrics_page.py` from `app/observability/metric_declarations.py`: change that, and run the script with
`.venv/bin/python`.

Each container of the application says what it has counted at `/metrics` on its own port, in Prometheus' text format,
added up over its workers. Counters go on when a worker dies, however that happens, and begin anew with the container.
Ask every container by its address; the edge answers 404 for that path, and the application does when the request came
through a proxy. Where no proxy stands in front, whoever reaches the port can read it. `METRICS=off` switches all of it
off; `scripts/bench_cost.py` measures what that saves.

A request is counted when the last of its answer is handed to the server. So what a client was answered was counted; of
what was counted only the answer that a worker was sending when it was killed has reached nobody. Asking for the metrics
is neither counted nor logged. A request that Gunicorn itself refuses, as it cannot be read, never gets here.

A metric is used by its name (`metrics.count("cache_requests_total", outcome="hit")`). A name, a label or a value that
is not declared raises in development and in tests; in production it is an error in the log, and the request goes on.
"""


def page() -> str:
    """Return the whole document."""
    head = ["| name | type | labels | meaning | a bad value |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([INTRODUCTION, *head, *map(row, DECLARATIONS)]) + "\n"


def row(metric: Metric) -> str:
    """Return a metric's row of the table."""
    labels = "; ".join(f"{name}: {', '.join(values)}" if values else name for name, values in metric.labels.items())
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} | {metric.bad} |"


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), __doc__))
