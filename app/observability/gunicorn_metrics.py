"""What Gunicorn's hooks (gunicorn.conf.py) do for the metrics: the folder, the workers' slots, the server's own."""

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

from app.observability import metric_files, metrics

PREFIX, NEW = "flask-metrics-", "new-"
YOUNG = 60  # seconds in which a server has surely locked the folder that it made
LISTENS = 10  # TCP_LISTEN in Linux' include/net/tcp_states.h
INFO = struct.Struct("8B24I")  # struct tcp_info in Linux' include/uapi/linux/tcp.h
UNACKED = 12  # tcpi_unacked; of a socket that listens, the connections that nobody has accepted


class Files:
    """Where the values are; nowhere without Gunicorn, or with METRICS off."""

    folder: Path | None = None


def new_folder(parent: str | None) -> Path:
    """Make a folder for a server that starts, in memory, and remove those of servers that were killed.

    A server holds a lock on its own, which the kernel gives back however it ends. It gets its name when it is locked,
    so that no other server takes it for one that was left.
    """
    fresh = Path(tempfile.mkdtemp(prefix=NEW + PREFIX, dir=parent))
    _lock(fresh)
    for old in (*fresh.parent.glob(f"{PREFIX}*"), *filter(_is_old, fresh.parent.glob(f"{NEW}{PREFIX}*"))):
        with suppress(OSError):
            os.close(_lock(old))
            shutil.rmtree(old)
    return fresh.rename(fresh.with_name(fresh.name.removeprefix(NEW)))


def _is_old(folder: Path) -> bool:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime > YOUNG
    return False


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def start(server: Any, folder: Path) -> None:
    """Share the values, in the master, before there are workers."""
    Files.folder = folder
    metric_files.share(folder)
    metrics.put("gunicorn_workers_configured", server.num_workers)


def pre_fork(server: Any, worker: Any) -> None:
    """Choose the worker's slot, in the master, which knows of every worker that lives."""
    worker.slot = metric_files.free_slot(other.slot for other in server.WORKERS.values())


def post_worker_init(worker: Any) -> None:
    """Begin to count as the holder of the slot, in the worker, which now hears signals and is about to serve."""
    if Files.folder:
        metric_files.hold(Files.folder, worker.slot)
        metrics.put("gunicorn_workers", 1)
        metrics.ask("gunicorn_backlog", lambda: backlog(worker.sockets))


def child_exit(server: Any, worker: Any) -> None:
    """Let go of a dead worker's gauges. Where fewer are left than there should be, nobody had wanted it to end."""
    if Files.folder:
        metric_files.release(Files.folder, worker.slot)
        if len(server.WORKERS) < server.num_workers:
            metrics.count("gunicorn_worker_exits_total")


def nworkers_changed(_server: Any, new: int, _old: int | None) -> None:
    """Say how many there should be; Gunicorn calls this at its start too, before there is a folder."""
    if Files.folder:
        metrics.put("gunicorn_workers_configured", new)


def on_exit(_server: Any) -> None:
    """Remove the folder."""
    if Files.folder:
        shutil.rmtree(Files.folder, ignore_errors=True)


def processes() -> int:
    """Count the processes that serve."""
    return metric_files.workers(Files.folder) if Files.folder else 1


def backlog(listeners: Iterable[Any]) -> float | None:
    """Count the connections that wait to be accepted; None where the system does not say, as only Linux does."""
    try:
        told = [INFO.unpack(item.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO.size)) for item in listeners]
    except (AttributeError, OSError, struct.error):
        return None
    return float(sum(info[UNACKED] for info in told)) if told and all(info[0] == LISTENS for info in told) else None
