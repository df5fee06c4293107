"""For each alert: series on which it fires, with what it then says, and series on which it does not.

Series are promtool's: a sample each 30 s, `0+5x20` is twenty more, each 5 above the one before.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from dataclasses import dataclass, field

GIB = 2**30
DAY = 86400  # time begins at 0
WEB = 'job="web", colour="blue", instance="10.0.0.1:8000"'
OTHER = 'job="web", colour="blue", instance="10.0.0.2:8000"'
GREEN = 'job="web", colour="green", instance="10.0.0.3:8000"'
PROMETHEUS = 'job="prometheus", instance="localhost:9090"'
UP = f"up{{{PROMETHEUS}}}"
NGINX = 'up{job="nginx", instance="nginx-exporter:9113"}'
SERVED = 'nginx_active_upstream{job="active-upstream", instance="nginx:8004", upstream="web-blue"}'
LIST = 'http_request_method="GET", http_route="/api/products"'
PROBE = 'http_request_method="GET", http_route="/health/ready"'
WHERE = {"colour": "blue", "instance": "10.0.0.1:8000", "job": "web"}


@dataclass(frozen=True)
class Case:
    """An alert on the BAD series: not at NOT_YET, and AT that moment with these LABELS; on none of the GOOD ones."""

    alert: str
    bad: dict
    not_yet: str
    at: str
    summary: str
    good: list
    labels: dict = field(default_factory=dict)
    severity: str = ""  # where two rules have one name


def answers(good, bad, labels=LIST):
    """Return the series of so many requests in 30 s that were answered well, and so many that failed."""
    return {
        f'http_server_request_duration_seconds_count{{{labels}, http_response_status_code="200"}}': f"0+{good}x200",
        f'http_server_request_duration_seconds_count{{{labels}, http_response_status_code="500"}}': f"0+{bad}x200",
    }


FAILED = f'http_server_request_duration_seconds_count{{{LIST}, http_response_status_code="500"}}'


def durations(quick, slow, labels=LIST):
    """Return the series of so many requests in 30 s that took 0.1 s, and so many that took 2."""
    name, both = "http_server_request_duration_seconds", quick + slow
    counts = {"0.1": quick, "1.0": quick, "2.5": both, "+Inf": both}
    buckets = {f'{name}_bucket{{{labels}, le="{le}"}}': f"0+{count}x200" for le, count in counts.items()}
    return {**buckets, f"{name}_count{{{labels}}}": f"0+{both}x200"}


def waits(quick, slow, least="0.5"):
    """Return the series of so many waits in 30 s of 5 ms, and so many of more than LEAST."""
    counts = {"0.005": quick, least: quick, "1.0": quick + slow, "+Inf": quick + slow}
    return {
        f'db_client_connection_wait_time_seconds_bucket{{{WEB}, le="{le}"}}': f"0+{count}x40"
        for le, count in counts.items()
    }


SERVING = [
    Case(
        "NoHealthyUpstream",
        {f"up{{{WEB}}}": "1 1 0x20", f"up{{{GREEN}}}": "0x20"},
        "1m30s",
        "2m",
        "No container of the application answers, of either colour.",
        [{f"up{{{WEB}}}": "1x20", f"up{{{GREEN}}}": "0x20"}, {f"up{{{WEB}}}": "1 0 1x20"}],
    ),
    Case(
        "NoHealthyUpstream",
        {UP: "1x20"},  # no container is known at all
        "30s",
        "1m",
        "No container of the application answers, of either colour.",
        [{NGINX: "1x20"}],  # nor is Prometheus itself: it keeps nothing of what it sees
        {"job": "web"},
    ),
    Case(
        "ActiveColourDown",
        {SERVED: "1x20", f"up{{{WEB}}}": "1 1 0 _x20", f"up{{{GREEN}}}": "1x20"},
        "1m30s",
        "2m",
        "No container of web-blue answers, where Nginx sends users.",
        [
            {SERVED: "1x20", f"up{{{WEB}}}": "1 0 1x20", f"up{{{GREEN}}}": "1x20"},
            {SERVED: "1x20", f"up{{{WEB}}}": "1x20", f"up{{{OTHER}}}": "0x20", f"up{{{GREEN}}}": "0x20"},
        ],
        {"job": "active-upstream", "instance": "nginx:8004", "upstream": "web-blue", "colour": "blue"},
    ),
    Case(
        "NginxDown",
        {'nginx_up{job="nginx"}': "1 1 0x20"},
        "1m30s",
        "2m",
        "Nginx does not answer, so nobody reaches the site.",
        [{'nginx_up{job="nginx"}': "1x20"}],
        {"job": "nginx"},
    ),
    Case(
        "ErrorBudgetBurnFast",
        answers(95, 5),
        "30s",
        "62m",
        "5% of the requests of the last 5 minutes failed (5xx).",
        [
            answers(990, 10),  # a hundredth, for long: a ticket
            answers(95, 0),
            answers(95, 0) | answers(0, 50, PROBE),  # probes are not users
            answers(0.1, 0.05),  # six in an hour of the night
            answers(95, 0) | {FAILED: "0+5x110 550x60"},  # over
            answers(99, 0) | {FAILED: "0+5x104 520+1x60"},  # nearly over
            answers(95, 0) | {FAILED: "0x120 0+5x60"},  # just begun
        ],
    ),
    Case(
        "ErrorBudgetBurnSlow",
        answers(99, 1),
        "8m",
        "40m",
        "1% of the requests of the last half hour failed (5xx).",
        [answers(995, 5), answers(99, 0) | answers(0, 50, PROBE)],
    ),
    Case(
        "HighRequestLatency",
        durations(80, 20),
        "5m",
        "6m",
        "20% of the requests of the last 5 minutes took more than a second.",
        [durations(95, 5), durations(0, 1), durations(80, 0) | durations(0, 80, PROBE)],
    ),
    Case(
        "HighTailLatency",
        durations(97, 3),
        "15m",
        "16m",
        "One request in a hundred takes 2s or more (p99 of half an hour).",
        [durations(995, 5), durations(0, 1)],
    ),
    Case(
        "WebInstanceDown",
        {f"up{{{WEB}}}": "1 0x20", f"up{{{OTHER}}}": "1x20", f"up{{{GREEN}}}": "0x20"},
        "5m",
        "5m30s",
        "A container of web-blue does not answer, 10.0.0.1:8000; others do.",
        [{f"up{{{WEB}}}": "1x20", f"up{{{GREEN}}}": "0x20"}, {f"up{{{WEB}}}": "1x20"}],
        WHERE,
    ),
]

LIMIT = {f"db_client_connection_max{{{WEB}}}": "8x40"}
TENTH = f'db_client_connection_wait_time_seconds_bucket{{{WEB}, le="0.1"}}'
SATURATION = [
    Case(
        "RequestBacklog",
        {f"gunicorn_backlog{{{WEB}}}": "0 30x20"},
        "2m",
        "2m30s",
        "30 connections wait for web-blue to take them; nothing else counts that time.",
        [{f"gunicorn_backlog{{{WEB}}}": "0 30 0x20"}, {f"gunicorn_backlog{{{WEB}}}": "5x20"}],
        WHERE,
    ),
    Case(
        "NginxConnectionsDropped",
        {"nginx_connections_accepted": "0+300x20", "nginx_connections_handled": "0+240x20"},
        "1m",
        "6m",
        "Nginx drops 2 connections a second: it has no more of them.",
        [{"nginx_connections_accepted": "0+300x20", "nginx_connections_handled": "0+300x20"}],
    ),
    Case(
        "WorkerThreadsSaturated",
        LIMIT | {f"http_server_active_requests{{{WEB}}}": "0x9 8x40"},
        "9m",
        "11m",
        "100% of what web-blue can do at a time has been under way for 5 minutes, at 10.0.0.1:8000.",
        [
            LIMIT | {f"http_server_active_requests{{{WEB}}}": "6x40"},
            LIMIT | {f"http_server_active_requests{{{WEB}}}": "1x20 8 8 1x9"},
        ],
        WHERE,
    ),
    Case(
        "DatabasePoolExhausted",
        LIMIT | {f'db_client_connection_count{{{WEB}, state="used"}}': "0x9 8x40"},
        "9m",
        "11m",
        "100% of the connections to the database of web-blue have been in use for 5 minutes, at 10.0.0.1:8000.",
        [LIMIT | {f'db_client_connection_count{{{WEB}, state="{state}"}}': "6x40" for state in ("used", "idle")}],
        WHERE,
    ),
    Case(
        "HighDatabasePoolWait",
        waits(50, 50),
        "5m",
        "6m",
        "One request in twenty waits 950ms or more for a connection to the database.",
        [waits(99, 1), waits(50, 0), waits(94, 6, "0.05") | {TENTH: "0+100x40"}],
    ),
    Case(
        "GunicornWorkersMissing",
        {f"gunicorn_workers{{{WEB}}}": "2 1x20", f"gunicorn_workers_configured{{{WEB}}}": "2x20"},
        "5m",
        "5m30s",
        "web-blue has only 1 of its processes, at 10.0.0.1:8000.",
        [{f"gunicorn_workers{{{WEB}}}": "2 1 2x20", f"gunicorn_workers_configured{{{WEB}}}": "2x20"}],
        WHERE,
    ),
    Case(
        "GunicornWorkerExits",
        {f"gunicorn_worker_exits_total{{{WEB}}}": "0x10 1 2 3 4x40"},
        "5m",
        "10m",
        "4 processes of web-blue ended by themselves within 15 minutes, at 10.0.0.1:8000.",
        [{f"gunicorn_worker_exits_total{{{WEB}}}": "0x10 1x40"}],
        WHERE,
    ),
]

BACKENDS = [
    Case(
        "CircuitBreakerOpen",
        {
            f'circuit_breaker_open{{{WEB}, backend="postgres"}}': "0 1x20",
            f'circuit_breaker_open{{{OTHER}, backend="postgres"}}': "0x20",
        },
        "2m",
        "2m30s",
        "The application has stopped asking postgres, and answers 503 where it needs it.",
        [{f'circuit_breaker_open{{{WEB}, backend="postgres"}}': "0 1 0x20"}],
        {"backend": "postgres"},
        severity="page",
    ),
    Case(
        "CircuitBreakerOpen",
        {f'circuit_breaker_open{{{WEB}, backend="redis"}}': "0 1x20"},
        "5m",
        "5m30s",
        "The application has stopped asking redis; it answers from the database, with more work.",
        [{f'circuit_breaker_open{{{WEB}, backend="redis"}}': "0x20"}],
        {"backend": "redis"},
        severity="ticket",
    ),
    Case(
        "HighBackendErrorRate",
        {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0+30x40"},
        "5m",
        "6m",
        "1 times a second postgres fails the application: unavailable.",
        [
            {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0+1x40"},
            {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0 30 60x40"},
        ],
        {"backend": "postgres", "error_type": "unavailable"},
    ),
]

POSTGRES = [
    Case(
        "PostgresDown",
        {"pg_up": "1 0x20"},
        "1m",
        "1m30s",
        "Postgres does not answer.",
        [{"pg_up": "1 0 1x20"}],
    ),
    Case(
        "PostgresConnectionsNearLimit",
        {
            'pg_stat_database_numbackends{datname="app"}': "90x20",
            'pg_settings_max_connections{server="db:5432"}': "100x20",
        },
        "4m30s",
        "5m",
        "90% of the connections that Postgres takes are open.",
        [
            {
                'pg_stat_database_numbackends{datname="app"}': "70x20",
                'pg_settings_max_connections{server="db:5432"}': "100x20",
            }
        ],
    ),
    Case(
        "PostgresDeadlocks",
        {'pg_stat_database_deadlocks{datname="app"}': "3x4 5x40"},
        "1m30s",
        "14m30s",
        "2 deadlocks within 15 minutes; Postgres ended one transaction of each.",
        [{'pg_stat_database_deadlocks{datname="app"}': "3x20"}],
    ),
    Case(
        "PostgresLongTransaction",
        {'pg_stat_activity_max_tx_duration{datname="app", usename="app", state="idle in transaction"}': "280+30x20"},
        "1m",
        "2m",
        "A transaction of app has been open for 6m 40s (idle in transaction).",
        [
            {'pg_stat_activity_max_tx_duration{datname="app", usename="app", state="active"}': "10x20"},
            {'pg_stat_activity_max_tx_duration{datname="app", usename="app_backup", state="active"}': "9000+30x20"},
            {'pg_stat_activity_max_tx_duration{datname="app", usename="", state="active"}': "9000+30x20"},
        ],
        {"usename": "app", "state": "idle in transaction"},
    ),
    Case(
        "PostgresReplicationSlotLag",
        {'pg_replication_slots_pg_wal_lsn_diff{slot_name="archive"}': f"0 {3 * GIB // 4}x20"},
        "5m",
        "5m30s",
        "Postgres keeps 768MiB of WAL that archive has not received.",
        [{'pg_replication_slots_pg_wal_lsn_diff{slot_name="archive"}': f"{GIB // 4}x20"}],
        {"slot_name": "archive"},
    ),
]

SESSIONS = 'job="redis", instance="redis-sessions"'
MOST = {f"redis_memory_max_bytes{{{SESSIONS}}}": "100x20"}
REFUSED = f'redis_errors_total{{{SESSIONS}, err="OOM"}}'
REDIS = [
    Case(
        "RedisDown",
        {f"redis_up{{{SESSIONS}}}": "1 0x20"},
        "1m",
        "1m30s",
        "redis-sessions does not answer.",
        [{f"redis_up{{{SESSIONS}}}": "1 0 1x20"}],
        {"job": "redis", "instance": "redis-sessions"},
    ),
    Case(
        "RedisSessionsMemoryNearLimit",
        MOST | {f"redis_memory_used_bytes{{{SESSIONS}}}": "85x20"},
        "4m30s",
        "5m",
        "redis-sessions has 85% of its memory in use; when it is full it takes no new session.",
        [
            MOST | {f"redis_memory_used_bytes{{{SESSIONS}}}": "75x20"},
            {  # a cache is full
                'redis_memory_used_bytes{job="redis", instance="redis-cache"}': "99x20",
                'redis_memory_max_bytes{job="redis", instance="redis-cache"}': "100x20",
            },
        ],
        {"job": "redis", "instance": "redis-sessions"},
    ),
    Case(
        "RedisWritesRejected",
        {REFUSED: "_x20 4x20", f"redis_up{{{SESSIONS}}}": "1x60"},  # the first ones ever
        "9m30s",
        "12m",
        "redis-sessions has refused 4 times within 5 minutes: it is full.",
        [
            {REFUSED: "_x20 4x20", f"redis_up{{{SESSIONS}}}": "_x20 1x40"},  # nobody looked before
            {REFUSED: "4x60", f"redis_up{{{SESSIONS}}}": "1x60"},
        ],
        {"job": "redis", "instance": "redis-sessions", "err": "OOM"},
    ),
    Case(
        "RedisWritesRejected",
        {REFUSED: "0x4 4x20"},
        "1m30s",
        "5m",
        "redis-sessions has refused 4 times within 5 minutes: it is full.",
        [
            {
                REFUSED: "4x20",
                f'redis_errors_total{{{SESSIONS}, err="NOPERM"}}': "0+9x20",
            }
        ],
        {"job": "redis", "instance": "redis-sessions", "err": "OOM"},
    ),
    Case(
        "RedisWritesRejected",
        {f"redis_rejected_connections_total{{{SESSIONS}}}": "0x4 4x20"},
        "1m30s",
        "5m",
        "redis-sessions has refused 4 times within 5 minutes: it is full.",
        [],
        {"job": "redis", "instance": "redis-sessions"},
    ),
]

CERTIFICATES = [
    Case(
        "CertificateExpiringSoon",
        {"certificate_not_after_timestamp_seconds": f"{2 * DAY}x40"},
        "4m30s",
        "10m",
        "The TLS certificate expires in 1d 23h 50m 0s; browsers then reject the site.",
        [{"certificate_not_after_timestamp_seconds": f"{20 * DAY}x40"}],
    ),
    Case(
        "CertificateRenewalFailed",
        {"certificate_renewal_failing": "1x60"},
        "14m30s",
        "15m",
        "The certificate cannot be had or renewed, or is not the one that users meet.",
        [{"certificate_renewal_failing": "0x60"}],
    ),
    Case(
        "CertificateCheckStale",
        {"certificate_last_check_timestamp_seconds": f"{-27 * 3600}x40"},
        "4m30s",
        "5m",
        "Nobody has looked at the certificate for 1d 3h 5m 0s: the service certbot is not at work.",
        [{"certificate_last_check_timestamp_seconds": f"{-13 * 3600}x40"}],
    ),
]

MADE = {f'backup_last_success_timestamp_seconds{{job="{job}"}}': "0x80" for job in ("wal", "base", "dump")}
AGED = 'backup_last_success_timestamp_seconds{job="%s"}'
BACKUPS = [
    Case(
        "BackupFailed",
        {'backup_failing_since_timestamp_seconds{job="dump"}': "0x80"},
        "15m",
        "16m",
        "The job dump has been failing for 16m 0s. A full disk of backups stops them too.",
        [MADE],
        {"job": "dump"},
    ),
    *[
        Case(
            "BackupOverdue",
            {AGED % job: f"{-age}x40"},
            "4m",
            "6m",
            summary,
            [{AGED % job: f"{-age + 600}x10"}],
            {"job": job},
        )
        for job, age, summary in (
            ("wal", 900, "The job wal has not succeeded for 21m 0s."),
            ("base", 26 * 3600, "The job base has not succeeded for 1d 2h 6m 0s."),
            ("dump", 26 * 3600, "The job dump has not succeeded for 1d 2h 6m 0s."),
            ("offsite", 26 * 3600, "The job offsite has not succeeded for 1d 2h 6m 0s."),
            ("drill", 15 * DAY, "The job drill has not succeeded for 15d 0h 6m 0s."),
        )
    ],
    *[
        Case(
            "BackupMissing",
            {UP: "1x80"} | {each: values for each, values in MADE.items() if each != AGED % job},
            "29m",
            "30m",
            f"There is no word of the job {job}: no backup has ever been made, or nobody says so.",
            [{UP: "1x80"} | MADE, {NGINX: "1x80"}],
            {"job": job},
        )
        for job in ("wal", "base", "dump")
    ],
]

UNTOLD = 'alertmanager_notifications_failed_total{integration="%s"}'
WATCHING = [
    Case(
        "Watchdog",
        {UNTOLD % "webhook": "0+1x40"},  # the heartbeat itself
        "",
        "10m",
        "Fires as long as alerts can be told, so that its end can be noticed.",
        [{UNTOLD % "slack": "0+1x40"}],
    ),
    Case(
        "TargetDown",
        {'up{job="postgres", instance="postgres-exporter:9187"}': "1 0x20"},
        "5m",
        "5m30s",
        "Nothing is known of postgres (postgres-exporter:9187): it does not answer Prometheus.",
        [{'up{job="postgres", instance="postgres-exporter:9187"}': "1 0 1x20"}, {f"up{{{WEB}}}": "0x20"}],
        {"job": "postgres", "instance": "postgres-exporter:9187"},
    ),
    Case(
        "PrometheusRuleFailures",
        {f"prometheus_rule_evaluation_failures_total{{{PROMETHEUS}}}": "0x2 5x20"},
        "30s",
        "10m",
        "5 evaluations of rules failed within 10 minutes: some alert may be blind.",
        [{f"prometheus_rule_evaluation_failures_total{{{PROMETHEUS}}}": "5x20"}],
    ),
    Case(
        "AlertNotificationsFailing",
        {UNTOLD % "slack": "0+1x40"},
        "5m",
        "10m",
        "20 notifications could not be sent within 10 minutes.",
        [{UNTOLD % "slack": "3x40"}],
        {"integration": "slack"},
    ),
    Case(
        "AlertNotificationsFailing",
        {f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": "0+1x40"},
        "5m",
        "10m",
        "20 notifications could not be sent within 10 minutes.",
        [{f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": "3x40"}],
    ),
    Case(
        "PrometheusStorageFailing",
        {f"prometheus_tsdb_wal_writes_failed_total{{{PROMETHEUS}}}": "0x4 1x40", UP: "1x60"},
        "1m",
        "3m",
        "Prometheus cannot write down what it sees; the disk may be full.",
        [{f"prometheus_tsdb_wal_writes_failed_total{{{PROMETHEUS}}}": "1x40", UP: "1x60"}],
        {"job": "prometheus", "instance": "localhost:9090"},
        severity="ticket",
    ),
    Case(
        "PrometheusStorageFailing",
        {UP: "1x4 _x40"},
        "8m30s",  # for five minutes the last is taken for what is
        "9m30s",
        "Prometheus keeps nothing of what it sees, so all other alerts are blind; the disk may be full.",
        [{UP: "_x3 1x40"}, {UP: "1x4 _x10 1x40"}],
        {"job": "prometheus"},
        severity="page",
    ),
]

CASES = [*SERVING, *SATURATION, *BACKENDS, *POSTGRES, *REDIS, *CERTIFICATES, *BACKUPS, *WATCHING]
