"""Cases of rules/monitoring.yml."""

from tests.support.stack.alert_cases.case import PROMETHEUS, UP, WEB, Case

FAILED_NOTIFICATIONS = 'alertmanager_notifications_failed_total{integration="%s"}'
MONITORING = [
    Case(
        "Watchdog",
        {FAILED_NOTIFICATIONS % "webhook": "0+1x40"},  # the heartbeat's own integration
        "",
        "10m",
        "Always fires while notifications work; the heartbeat depends on it.",
        [{FAILED_NOTIFICATIONS % "slack": "0+1x40"}],
    ),
    Case(
        "TargetDown",
        {'up{job="postgres", instance="postgres-exporter:9187"}': "1 0x20"},
        "5m",
        "5m30s",
        "Prometheus cannot scrape postgres (postgres-exporter:9187); its alerts cannot fire.",
        [{'up{job="postgres", instance="postgres-exporter:9187"}': "1 0 1x20"}, {f"up{{{WEB}}}": "0x20"}],
        {"job": "postgres", "instance": "postgres-exporter:9187"},
    ),
    Case(
        "PrometheusRuleFailures",
        {f"prometheus_rule_evaluation_failures_total{{{PROMETHEUS}}}": "0x2 5x20"},
        "30s",
        "10m",
        "5 rule evaluations failed in 10 minutes; an alert may be unable to fire.",
        [{f"prometheus_rule_evaluation_failures_total{{{PROMETHEUS}}}": "5x20"}],
    ),
    Case(
        "AlertNotificationsFailing",
        {FAILED_NOTIFICATIONS % "slack": "0+1x40"},
        "5m",
        "10m",
        "20 notifications failed in 10 minutes.",
        [{FAILED_NOTIFICATIONS % "slack": "3x40"}],
        {"integration": "slack"},
    ),
    Case(
        "AlertNotificationsFailing",
        {f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": "0+1x40"},
        "5m",
        "10m",
        "20 notifications failed in 10 minutes.",
        [{f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": "3x40"}],
    ),
    Case(
        "PrometheusStorageFailing",
        {f"prometheus_tsdb_wal_writes_failed_total{{{PROMETHEUS}}}": "0x4 1x40", UP: "1x60"},
        "1m",
        "3m",
        "Prometheus fails to write its WAL or to compact blocks; the disk may be full.",
        [{f"prometheus_tsdb_wal_writes_failed_total{{{PROMETHEUS}}}": "1x40", UP: "1x60"}],
        {"job": "prometheus", "instance": "localhost:9090"},
        severity="ticket",
    ),
    Case(
        "PrometheusStorageFailing",
        {UP: "1x4 _x40"},
        "8m30s",  # Prometheus uses the last sample for five minutes
        "9m30s",
        "Prometheus stores no samples, and no other alert can fire; the disk may be full.",
        [{UP: "_x3 1x40"}, {UP: "1x4 _x10 1x40"}],
        {"job": "prometheus"},
        severity="page",
    ),
]
