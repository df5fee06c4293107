"""Gunicorn hooks for metrics, used by gunicorn.conf.py, and the metrics about Gunicorn itself."""

import fcntl
import os
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.observability import metrics, multiprocess_metrics

PREFIX = "flask-metrics-"
LOCK_GRACE_S = 60  # a directory this old without a lock belongs to no live server
TCP_LISTEN = 10  # Linux, include/net/tcp_states.h
TCP_INFO = struct.Struct("8B24I")  # struct tcp_info in Linux, include/uapi/linux/tcp.h
TCPI_UNACKED = 12  # of a listening socket: connections waiting for accept()


class MetricsDirectory:
    """Directory of the metric files; None without Gunicorn or with METRICS=off."""

    path: Path | None = None


def create_directory(parent: str | None) -> Path:
    """Create the metrics directory of a starting server and delete those of killed servers.

    A server holds a lock on its directory. The kernel releases the lock however the server ends.
    """
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    _lock(directory)
    for other in directory.parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > LOCK_GRACE_S:
                os.close(_lock(other))
                shutil.rmtree(other)
    return directory


def _lock(directory: Path) -> int:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def on_starting(server: Any, parent: str | None) -> None:
    """Share metrics between processes; in the master, before it forks workers."""
    if metrics.registry.enabled:
        MetricsDirectory.path = create_directory(parent)
        multiprocess_metrics.enable(MetricsDirectory.path)
        metrics.set_gauge("gunicorn_workers_configured", server.num_workers)


def pre_fork(server: Any, worker: Any) -> None:
    """Assign the worker's slot; in the master, which knows all live workers."""
    worker.slot = multiprocess_metrics.find_free_slot(other.slot for other in server.WORKERS.values())


def post_worker_init(worker: Any) -> None:
    """Write to the slot's files; in the worker, once it handles signals and is about to serve."""
    if MetricsDirectory.path:
        multiprocess_metrics.use_slot(MetricsDirectory.path, worker.slot)
        metrics.set_gauge("gunicorn_workers", 1)
        metrics.set_callback("gunicorn_backlog", lambda: count_backlog(worker.sockets))


def child_exit(server: Any, worker: Any) -> None:
    """Remove a dead worker's gauges. The exit was unexpected if fewer workers than configured remain."""
    if MetricsDirectory.path:
        multiprocess_metrics.mark_dead(MetricsDirectory.path, worker.slot)
        if len(server.WORKERS) < server.num_workers:
            metrics.increment("gunicorn_worker_exits_total")


def nworkers_changed(_server: Any, new: int, _old: int | None) -> None:
    """Update the configured number of workers; Gunicorn also calls this at start, before there is a directory."""
    if MetricsDirectory.path:
        metrics.set_gauge("gunicorn_workers_configured", new)


def on_exit(_server: Any) -> None:
    """Delete the metrics directory."""
    if MetricsDirectory.path:
        shutil.rmtree(MetricsDirectory.path, ignore_errors=True)


def count_processes() -> int:
    """Count the processes that serve requests."""
    return multiprocess_metrics.count_workers(MetricsDirectory.path) if MetricsDirectory.path else 1


def count_backlog(listeners: Iterable[Any]) -> float | None:
    """Count the connections that wait for accept(); None where the system does not report it (only Linux does)."""
    try:
        infos = [TCP_INFO.unpack(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)) for s in listeners]
    except (AttributeError, OSError, struct.error):
        return None
    is_reported = infos and all(info[0] == TCP_LISTEN for info in infos)
    return float(sum(info[TCPI_UNACKED] for info in infos)) if is_reported else None
