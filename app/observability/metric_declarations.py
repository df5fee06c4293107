"""Every metric, declared once: its name, type and labels, what it means, and what a bad value means.

docs/metrics.md is made from this by scripts/metrics_page.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric. LABELS gives each label's values, which are there from the start, at zero; None: they are many.

    A gauge is added up over the processes, or the LARGEST counts. What is put into one that LASTS stands for so many
    seconds. One that is ASKED is not kept: it is worked out when Prometheus asks.
    """

    name: str
    kind: Kind
    meaning: str
    bad: str
    labels: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    largest: bool = False
    lasts: float = 0
    asked: bool = False


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
        "Requests that a thread works on.",
        "As many as workers times threads, for longer than a moment: no thread is free, and `gunicorn_backlog` grows.",
    ),
    Metric(
        "cache_requests_total",
        "counter",
        "What the cache did with a request for a cached view.",
        "Few `hit`: the answers live too briefly, or a write empties them each time. Many `bypass`: Redis is away, or "
        "clients send parameters or credentials that go past it.",
        {"outcome": ("hit", "miss", "stale", "refresh", "bypass")},
    ),
    Metric(
        "cache_compute_duration_seconds",
        "histogram",
        "How long it took to compute what was not in the cache, by each that was computed.",
        "Above 3 s others stop waiting and compute for themselves; above 10 s the answer is not kept.",
        buckets=SECONDS,
    ),
    Metric(
        "db_client_connection_count",
        "gauge",
        "Connections of the pools to Postgres.",
        "`used` at `db_client_connection_max`: the next request waits for one.",
        {"state": ("used", "idle")},
    ),
    Metric(
        "db_client_connection_max",
        "gauge",
        "How many there can be: DB_POOL_SIZE times the workers. Left out with SQLite.",
        "Over all containers together more than DB_CONNECTIONS: some will be refused by Postgres.",
        asked=True,
    ),
    Metric(
        "db_client_connection_wait_time_seconds",
        "histogram",
        "How long a request waited for a connection, with the making of one and the look whether it lives.",
        "Above 0.1 s: connections are held for too long, or are fewer than threads. At DB_TIMEOUT the answer is 503.",
        buckets=(0.001, *SECONDS),
    ),
    Metric(
        "backend_errors_total",
        "counter",
        "Calls to a backend that failed. `unavailable`: no connection, or it broke; `timeout`: no answer in time; "
        "`circuit_open`: not asked, as it had just failed; `pool_timeout`: no connection became free; `other`: it "
        "answered with a failure, such as a statement that took too long.",
        "Any that goes on. `postgres` costs requests a 503 each, `redis` only speed.",
        {"backend": BACKENDS, "error_type": ("unavailable", "timeout", "circuit_open", "pool_timeout", "other")},
    ),
    Metric(
        "circuit_breaker_open",
        "gauge",
        "1 while any process leaves the backend alone; at most for a minute after it last failed there, as a process "
        "that gets no requests would not notice that it is back.",
        "1: the backend is away, or cannot be reached from here.",
        {"backend": BACKENDS},
        largest=True,
        lasts=60,
    ),
    Metric(
        "gunicorn_workers",
        "gauge",
        "Worker processes that live.",
        "Below `gunicorn_workers_configured` for longer than a moment: they die as fast as they are started.",
    ),
    Metric(
        "gunicorn_workers_configured",
        "gauge",
        "Worker processes that there should be.",
        "Another number than WEB_CONCURRENCY: somebody sent SIGTTIN or SIGTTOU.",
    ),
    Metric(
        "gunicorn_worker_exits_total",
        "counter",
        "Workers that ended though nobody stopped the server.",
        "Any: one was killed for its silence or for its memory, or crashed. Gunicorn's log says by which signal.",
    ),
    Metric(
        "gunicorn_backlog",
        "gauge",
        "Connections that wait to be taken in. Left out where the system does not say. Asking for the metrics waits in "
        "the same queue, so a full one is seen late.",
        "More than none for longer than a moment: more requests come than the threads can serve.",
        asked=True,
    ),
    Metric(
        "release_info",
        "gauge",
        "Always 1: which build answers, and in which environment.",
        "Two releases at once for longer than a deploy takes.",
        {"release": None, "environment": None},
        asked=True,
    ),
)
