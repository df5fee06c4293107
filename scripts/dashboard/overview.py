"""Overview: the first dashboard to look at. What users notice, and what they will notice next."""

from .panel import REQUESTS, USERS, Dashboard, Panel, quantile, stat

DASHBOARD = Dashboard(
    "overview",
    "Overview",
    [
        stat(
            "Firing alerts",
            "Investigate any: its section in docs/runbook.md names the remedy.",
            {"firing": 'count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)'},
            threshold=1,
        ),
        stat(
            "Healthy web containers",
            "By colour. Investigate if none is up, or if both colours run outside a deploy.",
            {"{{colour}}": 'sum by (colour) (up{job="web"})'},
        ),
        stat(
            "Error ratio",
            "Share of requests with a 5xx response. Investigate from 1.44 %: it spends the monthly budget in two days.",
            {"5xx": "web:http_server_errors:ratio_rate5m"},
            unit="percentunit",
            threshold=0.0144,
        ),
        stat(
            "Slow requests",
            "Share of requests over one second. Investigate from 10 %.",
            {"over 1 s": "web:http_server_slow_requests:ratio_rate5m"},
            unit="percentunit",
            threshold=0.1,
        ),
        stat(
            "Certificate expiry",
            "Time until it expires. Investigate below three days: renewal fails, and browsers will reject the site.",
            {"expires in": "certificate_not_after_timestamp_seconds - time()"},
            unit="s",
            threshold=3 * 86400,
            is_red_below=True,
        ),
        stat(
            "Release",
            "Running releases. Investigate if there are two for longer than a deploy: it stopped half way.",
            {"{{release}} ({{colour}})": "count by (release, colour) (release_info)"},
        ),
        Panel(
            "Requests by status",
            "Investigate a visible share of 5xx, or no requests when there usually are some.",
            {"{{http_response_status_code}}": f"sum by (http_response_status_code) (rate({REQUESTS}{{{USERS}}}[5m]))"},
            unit="reqps",
        ),
        Panel(
            "5xx responses by route",
            "Investigate any: a single route points to the code, all routes point to a backend.",
            {
                "{{http_route}}": "sum by (http_route) "
                f'(rate({REQUESTS}{{{USERS}, http_response_status_code=~"5.."}}[5m])) or vector(0)'
            },
            unit="reqps",
        ),
        Panel(
            "Request duration",
            "Investigate a p99 over one second or a rising p50, with the dashboard Latency.",
            {"p50": quantile("0.5"), "p99": quantile("0.99")},
            unit="s",
        ),
        Panel(
            "Saturation",
            "Used share of each resource. Investigate from 90 %: the next request waits.",
            {
                "threads": "max(http_server_active_requests / db_client_connection_max)",
                "pool connections": 'max(sum without (state) (db_client_connection_count{state="used"}) '
                "/ db_client_connection_max)",
                "Postgres connections": "sum(pg_stat_database_numbackends) / max(pg_settings_max_connections)",
                "{{instance}} memory": "redis_memory_used_bytes / redis_memory_max_bytes",
            },
            unit="percentunit",
        ),
        Panel(
            "Backend errors",
            "Failed calls per second, and 1 while a circuit breaker is open. Investigate anything but 0.",
            {
                "{{backend}} circuit breaker": "max by (backend) (circuit_breaker_open)",
                "{{backend}} {{error_type}}": "sum by (backend, error_type) "
                "(rate(backend_errors_total[5m])) or vector(0)",
            },
        ),
        Panel(
            "Gunicorn workers",
            "Running, configured and unexpectedly exited workers. Investigate fewer than configured, or any exit.",
            {
                "{{colour}} {{instance}}": "gunicorn_workers",
                "configured": "max(gunicorn_workers_configured)",
                "exits in 15 minutes": "sum(increase(gunicorn_worker_exits_total[15m]))",
            },
        ),
        Panel(
            "Time since the last backup",
            "By job. Investigate wal over 15 minutes, base and dump over 26 hours, drill over 15 days.",
            {"{{job}}": "max by (job) (time() - backup_last_success_timestamp_seconds)"},
            unit="s",
        ),
        Panel(
            "Scrape targets down",
            "Investigate any: alerts on its metrics cannot fire.",
            {"{{job}} {{instance}}": 'up{job!="web"} == 0 or vector(0)'},
        ),
    ],
)
