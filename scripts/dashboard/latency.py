"""Latency: The page to look at when it is slow: by route, and down to what each waits for."""

from .panel import REQUESTS, Dashboard, Panel, quantile

APP = '{datname="app"}[5m])'
PAGES = "rate(pg_stat_database_blks"

PAGE = Dashboard(
    "latency",
    "Latency",
    [
        Panel(
            "Requests by route",
            "A second. Bad: one route that asks for far more than it usually does.",
            {
                "{{http_request_method}} {{http_route}}": "sum by (http_request_method, http_route) "
                f"(rate({REQUESTS}[5m]))"
            },
            unit="reqps",
        ),
        Panel(
            "p50 by route",
            "Half of the requests are quicker. Bad: all routes climb together, which is the machine or a backend.",
            {"{{http_route}}": quantile("0.5", "le, http_route")},
            unit="s",
        ),
        Panel(
            "p95 by route",
            "One in twenty is slower. Bad: one route climbs alone, which is its statement or its data.",
            {"{{http_route}}": quantile("0.95", "le, http_route")},
            unit="s",
        ),
        Panel(
            "p99 by route",
            "One in a hundred is slower. Bad: above a second.",
            {"{{http_route}}": quantile("0.99", "le, http_route")},
            unit="s",
        ),
        Panel(
            "Time by route",
            "Seconds of work that each route takes in a second. The highest line is where to look first.",
            {"{{http_route}}": "sum by (http_route) (rate(http_server_request_duration_seconds_sum[5m]))"},
            unit="s",
        ),
        Panel(
            "Waiting to be taken",
            "Connections that no process has accepted yet. Bad: more than a few, for nothing else counts that time.",
            {"{{colour}} {{instance}}": "gunicorn_backlog"},
        ),
        Panel(
            "The cache's answers",
            "A second, by outcome. Bad: misses that climb with the load, or bypass, which is a cache that is away.",
            {"{{outcome}}": "sum by (outcome) (rate(cache_requests_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "What the cache computes",
            "How often a second, and how long one in twenty takes. Bad: long ones, for which others wait.",
            {
                "computations a second": "sum(rate(cache_compute_duration_seconds_count[5m]))",
                "p95 in seconds": quantile("0.95", buckets="rate(cache_compute_duration_seconds_bucket[5m])"),
            },
        ),
        Panel(
            "Waiting for a connection",
            "To the database, by those requests that needed one. Bad: p95 above a quarter of a second.",
            {
                "p50": quantile("0.5", buckets="rate(db_client_connection_wait_time_seconds_bucket[5m])"),
                "p95": quantile("0.95", buckets="rate(db_client_connection_wait_time_seconds_bucket[5m])"),
            },
            unit="s",
        ),
        Panel(
            "Connections of the application",
            "To the database. Bad: those in use at the limit.",
            {
                "{{state}}": "sum by (state) (db_client_connection_count)",
                "limit": "sum(db_client_connection_max)",
            },
        ),
        Panel(
            "Sessions of Postgres",
            "By what they do. Bad: many that are active, or idle in a transaction.",
            {"{{state}}": "sum by (state) (pg_stat_activity_count)"},
        ),
        Panel(
            "Oldest transaction",
            "Open for how long, by whose. Bad: minutes, but for a dump (app_backup).",
            {"{{usename}}": "max by (usename) (pg_stat_activity_max_tx_duration)"},
            unit="s",
        ),
        Panel(
            "Postgres",
            "Transactions a second. Bad: rollbacks that climb, or commits that fall while requests do not.",
            {
                "commits": 'rate(pg_stat_database_xact_commit{datname="app"}[5m])',
                "rollbacks": 'rate(pg_stat_database_xact_rollback{datname="app"}[5m])',
                "deadlocks": 'rate(pg_stat_database_deadlocks{datname="app"}[5m])',
            },
            unit="ops",
        ),
        Panel(
            "Found in memory",
            "The share of pages that Postgres did not have to read. Bad: below 95 % for long: DB_MEMORY is too small.",
            {"pages": f"{PAGES}_hit{APP} / ({PAGES}_hit{APP} + {PAGES}_read{APP})"},
            unit="percentunit",
        ),
        Panel(
            "The database's size",
            "And the WAL that backups have not received. Bad: a climb. Nothing here sees how full the disk is.",
            {
                "database": 'pg_database_size_bytes{datname="app"}',
                "WAL kept for {{slot_name}}": "pg_replication_slots_pg_wal_lsn_diff",
            },
            unit="bytes",
        ),
        Panel(
            "Redis",
            "Commands a second. Bad: a climb without one of requests.",
            {"{{instance}}": "rate(redis_commands_processed_total[5m])"},
            unit="ops",
        ),
        Panel(
            "Forgotten and refused",
            "Keys that the cache has forgotten for want of room, and commands that were refused, a second. "
            "Bad: refusals, or forgetting as often as computing.",
            {
                "forgotten by {{instance}}": "rate(redis_evicted_keys_total[5m])",
                "refused by {{instance}}": "rate(redis_rejected_connections_total[5m])",
            },
            unit="ops",
        ),
        Panel(
            "Nginx' connections",
            "Bad: writing that climbs, which is clients that wait; or dropped ones, which is no more room.",
            {
                "writing": "nginx_connections_writing",
                "reading": "nginx_connections_reading",
                "waiting": "nginx_connections_waiting",
                "dropped a second": "rate(nginx_connections_accepted[5m]) - rate(nginx_connections_handled[5m])",
            },
        ),
    ],
)
