"""Add up metrics over Gunicorn's workers with prometheus_client's multi-process mode.

https://prometheus.github.io/client_python/multiprocess/

By default prometheus_client names a process's files by its process id and keeps the files of every dead worker. Here
they are named by the worker's slot, the lowest number that no live worker holds. The next worker in a slot continues
its counters, however the previous one ended, so the number of files stays constant. Gauges describe a live process, so
a dead worker's are removed.
"""

import functools
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import values
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.observability.metrics import registry


class Process:
    """Identifies this process's files: the master, or a worker's slot."""

    identifier = "master"


def enable(directory: Path) -> None:
    """Store all values in files of a directory; called in the master before it forks workers.

    prometheus_client chooses the value class at import, from PROMETHEUS_MULTIPROC_DIR; this directory is newer. Without
    this call, as in commands and in tests, values are in memory.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    value_class = values.MultiProcessValue(lambda: Process.identifier)  # type: ignore[no-untyped-call]
    values.ValueClass = value_class
    registry.reset(source=functools.partial(collect, directory))
    registry.create_metrics()


def find_free_slot(used: Iterable[int]) -> int:
    """Return the lowest number that is not in USED."""
    used = set(used)
    return next(slot for slot in itertools.count() if slot not in used)


def use_slot(directory: Path, slot: int) -> None:
    """Write to a slot's files; called in the worker after the fork."""
    mark_dead(directory, slot)  # the previous worker's gauges, if the master has not removed them
    Process.identifier = str(slot)


def mark_dead(directory: Path, slot: int) -> None:
    """Remove the gauges of a dead worker."""
    mark_process_dead(slot, str(directory))  # type: ignore[no-untyped-call]


def count_workers(directory: Path) -> int:
    """Count the slots in use, by their gauge files."""
    return sum(1 for _ in directory.glob("gauge_livesum_[0-9]*.db"))


def collect(directory: Path) -> Iterable[Family]:
    """Merge all files, except empty ones: MultiProcessCollector fails on a file whose creator was killed."""
    files = [str(path) for path in directory.glob("*.db") if _size(path)]
    families: Iterable[Family] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return families


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
