"""Logs, metrics, traces, error reports and health probes."""
