"""The pool of connections: how many there are, how many are in use, and how long one was waited for."""

import functools
import threading
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from app.observability import gunicorn_metrics, metrics


class MeasuredPool(QueuePool):
    """A pool that says how long it let somebody wait."""

    def connect(self) -> PoolProxiedConnection:
        """Return a connection, or fail as QueuePool does."""
        began = time.perf_counter()
        try:
            return super().connect()
        finally:
            metrics.observe("db_client_connection_wait_time_seconds", time.perf_counter() - began)


def watch(engine: Engine) -> None:
    """Show the connections of an engine, and how many there can be, if its pool has a limit."""
    if isinstance(engine.pool, MeasuredPool):
        Watch(engine)
        metrics.ask("db_client_connection_max", functools.partial(_limit, engine.pool.size()))


def _limit(size: int) -> float:
    return size * gunicorn_metrics.processes()


class Watch:
    """Shows the connections of one engine as they are made, taken, given back and closed."""

    def __init__(self, engine: Engine) -> None:
        self.lock = threading.Lock()
        self.there = self.taken = 0
        # Last of the listeners: whoever fails at one of the others has got no connection.
        event.listen(engine, "connect", self._made)
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._returned)
        event.listen(engine, "close", self._closed)

    def _made(self, _connection: Any, _record: ConnectionPoolEntry) -> None:
        self._change(there=1)

    def _taken(self, _connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        record.record_info["taken"] = True  # type: ignore[index]  # None only without a pool
        self._change(taken=1)

    def _returned(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        if record.record_info.pop("taken", False):  # type: ignore[union-attr]  # not what failed before it was taken
            self._change(taken=-1)

    def _closed(self, _connection: Any, _record: ConnectionPoolEntry) -> None:
        self._change(there=-1)

    def _change(self, there: int = 0, taken: int = 0) -> None:
        with self.lock:
            self.there, self.taken = self.there + there, self.taken + taken
            metrics.put("db_client_connection_count", self.taken, state="used")
            metrics.put("db_client_connection_count", max(0, self.there - self.taken), state="idle")
