"""What a panel and a page are, before they are Grafana's."""

from dataclasses import dataclass, field
from typing import Any

REQUESTS = "http_server_request_duration_seconds_count"
USERS = 'http_route!~"/health.*|/metrics"'  # probes are not users
BUCKETS = f"rate(http_server_request_duration_seconds_bucket{{{USERS}}}[5m])"


@dataclass(frozen=True)
class Panel:
    """What is shown: QUERIES by the name of their lines. A number turns red at BAD."""

    title: str
    description: str
    queries: dict[str, str]
    unit: str = "short"
    bad: float | None = None
    below: bool = False  # what is less than BAD is bad
    number: bool = False
    width: int = 8


@dataclass(frozen=True)
class Dashboard:
    """A page."""

    uid: str
    title: str
    panels: list[Panel] = field(default_factory=list)


def number(title: str, description: str, queries: dict[str, str], **options: Any) -> Panel:
    """Return a panel that shows how it is now."""
    return Panel(title, description, queries, number=True, **({"width": 4} | options))


def quantile(share: str, by: str = "le", buckets: str = BUCKETS) -> str:
    """Return what such a share of the requests is quicker than."""
    return f"histogram_quantile({share}, sum by ({by}) ({buckets}))"
