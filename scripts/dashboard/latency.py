"""Latency: the dashboard for slow requests. Duration by route, and what requests wait for."""

from .panel import REQUESTS, Dashboard, Panel, quantile

POOL_WAIT = "rate(db_client_connection_wait_time_seconds_bucket[5m])"
BLOCKS_HIT = 'rate(pg_stat_database_blks_hit{datname="app"}[5m])'
BLOCKS_READ = 'rate(pg_stat_database_blks_read{datname="app"}[5m])'

DASHBOARD = Dashboard(
    "latency",
    "Latency",
    [
        Panel(
            "Requests by route",
            "Investigate a route with far more requests than usual.",
            {
                "{{http_request_method}} {{http_route}}": "sum by (http_request_method, http_route) "
                f"(rate({REQUESTS}[5m]))"
            },
            unit="reqps",
        ),
        Panel(
            "p50 by route",
            "Investigate if all routes rise together: the host or a backend is slow.",
            {"{{http_route}}": quantile("0.5", "le, http_route")},
            unit="s",
        ),
        Panel(
            "p95 by route",
            "Investigate a route that rises alone: its statement or its data.",
            {"{{http_route}}": quantile("0.95", "le, http_route")},
            unit="s",
        ),
        Panel(
            "p99 by route",
            "Investigate from one second.",
            {"{{http_route}}": quantile("0.99", "le, http_route")},
            unit="s",
        ),
        Panel(
            "Time spent by route",
            "Seconds of work per second. Investigate the highest line first.",
            {"{{http_route}}": "sum by (http_route) (rate(http_server_request_duration_seconds_sum[5m]))"},
            unit="s",
        ),
        Panel(
            "Request backlog",
            "Connections in Gunicorn's accept queue. Investigate more than a few: no histogram includes this wait.",
            {"{{colour}} {{instance}}": "gunicorn_backlog"},
        ),
        Panel(
            "Cache requests",
            "By outcome. Investigate misses that rise with the load, or bypass: the cache is unavailable.",
            {"{{outcome}}": "sum by (outcome) (rate(cache_requests_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Cache computations",
            "Rate and p95 duration. Investigate long ones: other requests wait for them.",
            {
                "per second": "sum(rate(cache_compute_duration_seconds_count[5m]))",
                "p95 in seconds": quantile("0.95", buckets="rate(cache_compute_duration_seconds_bucket[5m])"),
            },
        ),
        Panel(
            "Wait for a database connection",
            "Time that requests wait for the pool. Investigate a p95 over 0.25 s.",
            {"p50": quantile("0.5", buckets=POOL_WAIT), "p95": quantile("0.95", buckets=POOL_WAIT)},
            unit="s",
        ),
        Panel(
            "Database connection pool",
            "Connections of all pools. Investigate if the used ones reach the maximum.",
            {"{{state}}": "sum by (state) (db_client_connection_count)", "max": "sum(db_client_connection_max)"},
        ),
        Panel(
            "Postgres sessions",
            "By state. Investigate many that are active or idle in a transaction.",
            {"{{state}}": "sum by (state) (pg_stat_activity_count)"},
        ),
        Panel(
            "Longest transaction",
            "By user. Investigate minutes, except for a dump (app_backup).",
            {"{{usename}}": "max by (usename) (pg_stat_activity_max_tx_duration)"},
            unit="s",
        ),
        Panel(
            "Postgres transactions",
            "Investigate rollbacks that rise, or commits that fall while requests do not.",
            {
                "commits": 'rate(pg_stat_database_xact_commit{datname="app"}[5m])',
                "rollbacks": 'rate(pg_stat_database_xact_rollback{datname="app"}[5m])',
                "deadlocks": 'rate(pg_stat_database_deadlocks{datname="app"}[5m])',
            },
            unit="ops",
        ),
        Panel(
            "Postgres buffer cache hit ratio",
            "Investigate if it stays below 95 %: DB_MEMORY is too small.",
            {"hit ratio": f"{BLOCKS_HIT} / ({BLOCKS_HIT} + {BLOCKS_READ})"},
            unit="percentunit",
        ),
        Panel(
            "Database size",
            "And WAL that backups have not received. Investigate a rise: no metric shows how full the disk is.",
            {
                "database": 'pg_database_size_bytes{datname="app"}',
                "WAL retained for {{slot_name}}": "pg_replication_slots_pg_wal_lsn_diff",
            },
            unit="bytes",
        ),
        Panel(
            "Redis commands",
            "Investigate a rise without one in requests.",
            {"{{instance}}": "rate(redis_commands_processed_total[5m])"},
            unit="ops",
        ),
        Panel(
            "Redis evictions and rejections",
            "Evicted keys, rejected connections. Investigate rejections, or as many evictions as computations.",
            {
                "{{instance}} evicted": "rate(redis_evicted_keys_total[5m])",
                "{{instance}} rejected": "rate(redis_rejected_connections_total[5m])",
            },
            unit="ops",
        ),
        Panel(
            "nginx connections",
            "Investigate if writing rises (slow clients) or connections are dropped (nginx is full).",
            {
                "writing": "nginx_connections_writing",
                "reading": "nginx_connections_reading",
                "waiting": "nginx_connections_waiting",
                "dropped per second": "rate(nginx_connections_accepted[5m]) - rate(nginx_connections_handled[5m])",
            },
        ),
    ],
)
