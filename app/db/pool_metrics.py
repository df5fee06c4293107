"""Connection pool metrics: connections used and idle, their maximum, and the time to get one."""

import functools
import threading
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from app.observability import gunicorn_metrics, metrics


class MeasuredPool(QueuePool):
    """A QueuePool that measures how long callers wait for a connection."""

    def connect(self) -> PoolProxiedConnection:
        """Return a connection."""
        started_at = time.perf_counter()
        try:
            return super().connect()
        finally:
            metrics.observe("db_client_connection_wait_time_seconds", time.perf_counter() - started_at)


def instrument(engine: Engine) -> None:
    """Measure an engine's connections, if its pool is limited."""
    if isinstance(engine.pool, MeasuredPool):
        ConnectionCounter(engine)
        metrics.set_callback("db_client_connection_max", functools.partial(_max_connections, engine.pool.size()))


def _max_connections(pool_size: int) -> float:
    return pool_size * gunicorn_metrics.count_processes()


class ConnectionCounter:
    """Counts an engine's connections by SQLAlchemy's pool events."""

    def __init__(self, engine: Engine) -> None:
        self.lock = threading.Lock()
        self.total = self.used = 0
        # Registered last: if another checkout listener fails, the caller gets no connection.
        event.listen(engine, "connect", self._on_connect)
        event.listen(engine, "checkout", self._on_checkout)
        event.listen(engine, "checkin", self._on_checkin)
        event.listen(engine, "close", self._on_close)

    def _on_connect(self, _connection: Any, _record: ConnectionPoolEntry) -> None:
        self._change(total=1)

    def _on_checkout(self, _connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        record.record_info["is_used"] = True  # type: ignore[index]  # None only without a pool
        self._change(used=1)

    def _on_checkin(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        # A connection that another listener rejected was never counted as used.
        if record.record_info.pop("is_used", False):  # type: ignore[union-attr]
            self._change(used=-1)

    def _on_close(self, _connection: Any, _record: ConnectionPoolEntry) -> None:
        self._change(total=-1)

    def _change(self, total: int = 0, used: int = 0) -> None:
        with self.lock:
            self.total, self.used = self.total + total, self.used + used
            metrics.set_gauge("db_client_connection_count", self.used, state="used")
            metrics.set_gauge("db_client_connection_count", max(0, self.total - self.used), state="idle")
