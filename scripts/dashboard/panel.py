"""Panels and dashboards, independent of Grafana's JSON."""

from dataclasses import dataclass, field
from typing import Any

REQUESTS = "http_server_request_duration_seconds_count"
USERS = 'http_route!~"/health.*|/metrics"'  # probes are not users
BUCKETS = f"rate(http_server_request_duration_seconds_bucket{{{USERS}}}[5m])"


@dataclass(frozen=True)
class Panel:
    """A time series, or a single stat that turns red from THRESHOLD on; QUERIES by their legend."""

    title: str
    description: str
    queries: dict[str, str]
    unit: str = "short"
    threshold: float | None = None
    is_red_below: bool = False  # instead of from the threshold on
    is_stat: bool = False
    width: int = 8


@dataclass(frozen=True)
class Dashboard:
    """Panels from left to right and from top to bottom."""

    uid: str
    title: str
    panels: list[Panel] = field(default_factory=list)


def stat(title: str, description: str, queries: dict[str, str], **options: Any) -> Panel:
    """Return a panel with the current value."""
    return Panel(title, description, queries, is_stat=True, **({"width": 4} | options))


def quantile(value: str, by: str = "le", buckets: str = BUCKETS) -> str:
    """Return the query for a quantile of a histogram."""
    return f"histogram_quantile({value}, sum by ({by}) ({buckets}))"
