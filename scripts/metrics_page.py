"""Write docs/metrics.md from the metric declarations; --check compares instead."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from generated import write_or_check  # noqa: E402

from app.observability.metric_declarations import DECLARATIONS, Metric  # noqa: E402 - found by the line above

PAGE = ROOT / "docs/metrics.md"
INTRODUCTION = """\
# Metrics

`scripts/metrics_page.py` generates this page from `app/observability/metric_declarations.py`. Edit the declarations,
then run the script with `.venv/bin/python`.

Each application container serves its metrics at `/metrics` on its port, in the Prometheus text format, summed over its
workers. Counters survive the death of a worker and restart from zero with the container. Scrape every container by its
IP address. The edge responds 404 for this path, and so does the application to a request that a proxy forwarded.
Without a proxy, anyone who reaches the port can read the metrics. `METRICS=off` disables them; `scripts/bench_cost.py`
measures what they cost.

A request is counted when the last part of its response is handed to Gunicorn, so every response that a client received
is counted. A worker that is killed may have counted the responses it was sending, which no client received. Scrapes are
neither counted nor logged. Gunicorn rejects malformed requests itself, so they are not counted.

Record a metric by its name: `metrics.increment("cache_requests_total", outcome="hit")`. An undeclared name, label or
label value raises an error in development and in tests. In production it logs an error, and the request continues.
"""


def page() -> str:
    """Return the whole document."""
    head = ["| Name | Type | Labels | Description | Troubleshooting |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([INTRODUCTION, *head, *map(row, DECLARATIONS)]) + "\n"


def row(metric: Metric) -> str:
    """Return a metric's row of the table."""
    labels = "; ".join(f"{name}: {', '.join(values)}" if values else name for name, values in metric.labels.items())
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.description} | {metric.troubleshooting} |"


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), __doc__))
