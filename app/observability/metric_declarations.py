"""Every metric: its name, type and labels, what it measures, and what an unusual value means.

scripts/metrics_page.py generates docs/metrics.md from this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    LABELS maps each label to its values, which exist from the start at zero, or to None if they are open-ended.
    AGGREGATION combines a gauge's values of all processes. A gauge with a TTL returns to 0 that many seconds after it
    was last set. A CALLBACK gauge is computed at each scrape.
    """

    name: str
    kind: Kind
    description: str
    troubleshooting: str
    labels: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    aggregation: Literal["sum", "max"] = "sum"
    ttl: float = 0
    callback: bool = False


SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BACKENDS = ("postgres", "redis")

DECLARATIONS = (
    Metric(
        "http_server_request_duration_seconds",
        "histogram",
        "Duration of each request, from when a thread takes it to when the last part of its response reaches Gunicorn. "
        "The wait for a free thread is not included. `http_route` is the URL rule or `unmatched`; an unknown method is "
        "`_OTHER`. Scrapes are not counted.",
        "Any 500: find its request id in the log. 503s: a backend is unavailable, see `backend_errors_total`. Many "
        "`unmatched`: a scanner or a broken link. p99 above 1 s: a slow statement or a saturated CPU.",
        {"http_request_method": None, "http_route": None, "http_response_status_code": None},
        SECONDS,
    ),
    Metric(
        "http_server_active_requests",
        "gauge",
        "Requests in progress.",
        "Workers times threads for more than a moment: no thread is free, and `gunicorn_backlog` grows.",
    ),
    Metric(
        "cache_requests_total",
        "counter",
        "Requests to cached views, by cache outcome.",
        "Few `hit`: the TTL is too short, or writes invalidate the entries too often. Many `bypass`: Redis is "
        "unavailable, or clients send parameters or credentials that bypass the cache.",
        {"outcome": ("hit", "miss", "stale", "refresh", "bypass")},
    ),
    Metric(
        "cache_compute_duration_seconds",
        "histogram",
        "Duration of computing a response that was not in the cache.",
        "Above 3 s: other requests stop waiting and compute it themselves. Above 10 s: the response is not cached.",
        buckets=SECONDS,
    ),
    Metric(
        "db_client_connection_count",
        "gauge",
        "Connections in the Postgres connection pools.",
        "`used` equal to `db_client_connection_max`: the next request waits for a connection.",
        {"state": ("used", "idle")},
    ),
    Metric(
        "db_client_connection_max",
        "gauge",
        "Maximum number of connections: DB_POOL_SIZE times the workers. Absent with SQLite.",
        "More than DB_CONNECTIONS over all containers: Postgres will reject connections.",
        callback=True,
    ),
    Metric(
        "db_client_connection_wait_time_seconds",
        "histogram",
        "Time to get a connection from the pool, including connecting and the liveness check.",
        "Above 0.1 s: connections are held too long, or the pool has fewer connections than threads. After DB_TIMEOUT "
        "the response is 503.",
        buckets=(0.001, *SECONDS),
    ),
    Metric(
        "backend_errors_total",
        "counter",
        "Failed calls to a backend. `unavailable`: no connection, or it broke; `timeout`: no response in time; "
        "`circuit_open`: rejected by the circuit breaker; `pool_timeout`: no connection became free; `other`: an error "
        "response, such as a statement timeout.",
        "A rate that stays above 0: the backend is failing. Each `postgres` error fails a request with 503; `redis` "
        "errors only slow requests down.",
        {"backend": BACKENDS, "error_type": ("unavailable", "timeout", "circuit_open", "pool_timeout", "other")},
    ),
    Metric(
        "circuit_breaker_open",
        "gauge",
        "1 while the circuit breaker is open in any process; at most 60 s after the last failure, because an idle "
        "process does not notice the recovery.",
        "1: the backend is unavailable or unreachable.",
        {"backend": BACKENDS},
        aggregation="max",
        ttl=60,
    ),
    Metric(
        "gunicorn_workers",
        "gauge",
        "Live worker processes.",
        "Below `gunicorn_workers_configured` for more than a moment: workers exit as fast as they start.",
    ),
    Metric(
        "gunicorn_workers_configured",
        "gauge",
        "Configured number of worker processes.",
        "Different from WEB_CONCURRENCY: someone sent SIGTTIN or SIGTTOU.",
    ),
    Metric(
        "gunicorn_worker_exits_total",
        "counter",
        "Unexpected worker exits.",
        "Any: a worker was killed (timeout, out of memory) or crashed. Gunicorn's log has the signal.",
    ),
    Metric(
        "gunicorn_backlog",
        "gauge",
        "Connections waiting for accept(). Absent where the system does not report it. A scrape waits in the same "
        "queue, so a full queue appears late.",
        "Above 0 for more than a moment: requests arrive faster than the threads serve them.",
        callback=True,
    ),
    Metric(
        "release_info",
        "gauge",
        "Always 1; the labels contain the release and the environment.",
        "Two releases for longer than a deploy takes.",
        {"release": None, "environment": None},
        callback=True,
    ),
)
