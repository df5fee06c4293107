"""The metrics of each scrape job, and the metric names in rules and dashboards."""

import ast
import json
import re

import yaml

from tests.support.helpers import ROOT

FOLDER = ROOT / "deploy/observability"
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}


def declared():
    """Return the application's series; parsed from the source, because stack tests do not import the application."""
    tree = ast.parse((ROOT / "app/observability/metric_declarations.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Metric"]
    pairs = [(call.args[0].value, call.args[1].value) for call in calls]
    return {name + suffix for name, kind in pairs for suffix in SUFFIXES[kind]}


APPLICATION = declared()

# By scrape job; test_monitoring.py compares them with the real exporters.
OTHERS = {
    "nginx": {
        "nginx_up",
        "nginx_connections_accepted",
        "nginx_connections_handled",
        "nginx_connections_reading",
        "nginx_connections_waiting",
        "nginx_connections_writing",
    },
    "active-upstream": {"nginx_active_upstream"},
    "certificates": {
        "certificate_not_after_timestamp_seconds",
        "certificate_renewal_failing",
        "certificate_last_check_timestamp_seconds",
    },
    "backups": {"backup_last_success_timestamp_seconds", "backup_failing_since_timestamp_seconds"},
    "postgres": {
        "pg_up",
        "pg_database_size_bytes",
        "pg_replication_slots_pg_wal_lsn_diff",
        "pg_settings_max_connections",
        "pg_stat_activity_count",
        "pg_stat_activity_max_tx_duration",
        "pg_stat_database_blks_hit",
        "pg_stat_database_blks_read",
        "pg_stat_database_deadlocks",
        "pg_stat_database_numbackends",
        "pg_stat_database_xact_commit",
        "pg_stat_database_xact_rollback",
    },
    "redis": {
        "redis_up",
        "redis_commands_processed_total",
        "redis_errors_total",
        "redis_evicted_keys_total",
        "redis_memory_max_bytes",
        "redis_memory_used_bytes",
        "redis_rejected_connections_total",
    },
    "prometheus": {
        "prometheus_notifications_dropped_total",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_tsdb_compactions_failed_total",
        "prometheus_tsdb_wal_writes_failed_total",
    },
    "alertmanager": {"alertmanager_notifications_failed_total"},
}
ONLY_AFTER_A_FAILURE = {
    "backup_failing_since_timestamp_seconds",
    "redis_errors_total",
}  # absent until the first failure
OWN = {"up", "ALERTS"}  # Prometheus's own series

# Words in PromQL that are not metric names.
BESIDE = re.compile(r'"[^"]*"|\'[^\']*\'|\{[^{}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring|group_left)\s*\([^()]*\)')
WORD = re.compile(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()")
KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "on", "without", "Inf", "NaN"}


def named(query):
    """Return the metric names in a PromQL query."""
    bare = BESIDE.sub(" ", BESIDE.sub(" ", query))
    return set(WORD.findall(bare)) - KEYWORDS


def rules():
    """Return each rule with its file's name."""
    return [
        (path.stem, rule)
        for path in sorted((FOLDER / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def dashboards():
    """Return each dashboard's JSON."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("grafana/dashboards/*.json"))]


def queries():
    """Return each dashboard query with its panel's title."""
    return [
        (panel["title"], target["expr"])
        for dashboard in dashboards()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
