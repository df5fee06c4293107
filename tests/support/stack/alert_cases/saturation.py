"""Cases of rules/saturation.yml."""

from tests.support.stack.alert_cases.case import WEB, WEB_LABELS, Case


def waits(fast, slow, slow_from="0.5"):
    """Return the series of waits of 5 ms and of more than SLOW_FROM, each a number in 30 s."""
    counts = {"0.005": fast, slow_from: fast, "1.0": fast + slow, "+Inf": fast + slow}
    return {
        f'db_client_connection_wait_time_seconds_bucket{{{WEB}, le="{le}"}}': f"0+{count}x40"
        for le, count in counts.items()
    }


LIMIT = {f"db_client_connection_max{{{WEB}}}": "8x40"}
TENTH = f'db_client_connection_wait_time_seconds_bucket{{{WEB}, le="0.1"}}'
SATURATION = [
    Case(
        "RequestBacklog",
        {f"gunicorn_backlog{{{WEB}}}": "0 30x20"},
        "2m",
        "2m30s",
        "30 connections wait in the accept queue of web-blue.",
        [{f"gunicorn_backlog{{{WEB}}}": "0 30 0x20"}, {f"gunicorn_backlog{{{WEB}}}": "5x20"}],
        WEB_LABELS,
    ),
    Case(
        "NginxConnectionsDropped",
        {"nginx_connections_accepted": "0+300x20", "nginx_connections_handled": "0+240x20"},
        "1m",
        "6m",
        "nginx drops 2 connections per second: worker_connections is reached.",
        [{"nginx_connections_accepted": "0+300x20", "nginx_connections_handled": "0+300x20"}],
    ),
    Case(
        "WorkerThreadsSaturated",
        LIMIT | {f"http_server_active_requests{{{WEB}}}": "0x9 8x40"},
        "9m",
        "11m",
        "100% of the threads of web-blue (10.0.0.1:8000) have been busy for 5 minutes.",
        [
            LIMIT | {f"http_server_active_requests{{{WEB}}}": "6x40"},
            LIMIT | {f"http_server_active_requests{{{WEB}}}": "1x20 8 8 1x9"},
        ],
        WEB_LABELS,
    ),
    Case(
        "DatabasePoolExhausted",
        LIMIT | {f'db_client_connection_count{{{WEB}, state="used"}}': "0x9 8x40"},
        "9m",
        "11m",
        "100% of the database connections of web-blue (10.0.0.1:8000) have been in use for 5 minutes.",
        [LIMIT | {f'db_client_connection_count{{{WEB}, state="{state}"}}': "6x40" for state in ("used", "idle")}],
        WEB_LABELS,
    ),
    Case(
        "HighDatabasePoolWait",
        waits(50, 50),
        "5m",
        "6m",
        "The p95 wait for a database connection is 950ms.",
        [waits(99, 1), waits(50, 0), waits(94, 6, "0.05") | {TENTH: "0+100x40"}],
    ),
    Case(
        "GunicornWorkersMissing",
        {f"gunicorn_workers{{{WEB}}}": "2 1x20", f"gunicorn_workers_configured{{{WEB}}}": "2x20"},
        "5m",
        "5m30s",
        "web-blue (10.0.0.1:8000) runs only 1 of its Gunicorn workers.",
        [{f"gunicorn_workers{{{WEB}}}": "2 1 2x20", f"gunicorn_workers_configured{{{WEB}}}": "2x20"}],
        WEB_LABELS,
    ),
    Case(
        "GunicornWorkerExits",
        {f"gunicorn_worker_exits_total{{{WEB}}}": "0x10 1 2 3 4x40"},
        "5m",
        "10m",
        "4 Gunicorn workers of web-blue (10.0.0.1:8000) exited unexpectedly in 15 minutes.",
        [{f"gunicorn_worker_exits_total{{{WEB}}}": "0x10 1x40"}],
        WEB_LABELS,
    ),
]
