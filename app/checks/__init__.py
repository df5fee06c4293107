"""The production check: whether the settings and backends are fit for production, one topic per module."""
