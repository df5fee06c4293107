"""The production check: whether a server's settings and backends are fit for production, one concern a module."""
