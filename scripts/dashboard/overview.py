"""Overview: The page to look at first: what users notice, and what they will notice."""

from .panel import REQUESTS, USERS, Dashboard, Panel, number, quantile

PAGE = Dashboard(
    "overview",
    "Overview",
    [
        number(
            "Alerts",
            "How many ring. One is too many: its section in docs/runbook.md says what to do.",
            {"ringing": 'count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)'},
            bad=1,
        ),
        number(
            "Containers that answer",
            "By colour. None at all is an outage; outside a deploy one colour has all of them and the other none.",
            {"{{colour}}": 'sum by (colour) (up{job="web"})'},
        ),
        number(
            "Failed",
            "The share of requests answered 5xx. Bad from 1.44 %: a month's share is used up in two days.",
            {"5xx": "web:http_server_errors:ratio_rate5m"},
            unit="percentunit",
            bad=0.0144,
        ),
        number(
            "Slower than a second",
            "The share of requests. Bad from 10 %.",
            {"slow": "web:http_server_slow_requests:ratio_rate5m"},
            unit="percentunit",
            bad=0.1,
        ),
        number(
            "Certificate",
            "Time until it expires. Bad below three days: renewal is failing, and browsers will reject the site.",
            {"expires in": "certificate_not_after_timestamp_seconds - time()"},
            unit="s",
            bad=3 * 86400,
            below=True,
        ),
        number(
            "Release",
            "What runs. Two names for longer than a deploy: it stopped half way.",
            {"{{release}} ({{colour}})": "count by (release, colour) (release_info)"},
        ),
        Panel(
            "Requests",
            "A second, by status. Bad: none at an hour when there are always some, or a share of 5xx that can be seen.",
            {"{{http_response_status_code}}": f"sum by (http_response_status_code) (rate({REQUESTS}{{{USERS}}}[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Failures",
            "Requests answered 5xx a second, by route. Bad: any. One route is the code's fault, all are a backend's.",
            {
                "{{http_route}}": "sum by (http_route) "
                f'(rate({REQUESTS}{{{USERS}, http_response_status_code=~"5.."}}[5m])) or vector(0)'
            },
            unit="reqps",
        ),
        Panel(
            "How long requests take",
            "Bad: p99 above a second, or p50 that climbs. Where the time is, the other dashboard says.",
            {"p50": quantile("0.5"), "p99": quantile("0.99")},
            unit="s",
        ),
        Panel(
            "How full it is",
            "Shares of what there is. Bad from 90 %: what comes next waits.",
            {
                "threads": "max(http_server_active_requests / db_client_connection_max)",
                "connections of the pool": 'max(sum without (state) (db_client_connection_count{state="used"}) '
                "/ db_client_connection_max)",
                "connections of Postgres": "sum(pg_stat_database_numbackends) / max(pg_settings_max_connections)",
                "memory of {{instance}}": "redis_memory_used_bytes / redis_memory_max_bytes",
            },
            unit="percentunit",
        ),
        Panel(
            "Backends",
            "1 while the application leaves one alone, and how often a second each fails it. Bad: anything but 0.",
            {
                "{{backend}} left alone": "max by (backend) (circuit_breaker_open)",
                "{{backend}} {{error_type}}": "sum by (backend, error_type) "
                "(rate(backend_errors_total[5m])) or vector(0)",
            },
        ),
        Panel(
            "Processes",
            "Of the application: how many there are and should be. Bad: fewer than there should be, or steps.",
            {
                "{{colour}} {{instance}}": "gunicorn_workers",
                "should be": "max(gunicorn_workers_configured)",
                "ended within 15 minutes": "sum(increase(gunicorn_worker_exits_total[15m]))",
            },
        ),
        Panel(
            "Age of backups",
            "Since each job last succeeded. Bad: wal above minutes, base and dump above 26 hours, drill above 15 days.",
            {"{{job}}": "max by (job) (time() - backup_last_success_timestamp_seconds)"},
            unit="s",
        ),
        Panel(
            "Nothing is known of",
            "What does not answer Prometheus. Bad: anything but nothing; what is not seen cannot ring.",
            {"{{job}} {{instance}}": 'up{job!="web"} == 0 or vector(0)'},
        ),
    ],
)
