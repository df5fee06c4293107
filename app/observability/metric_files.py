"""The values of all workers of a server, in files that they share: one set for each worker's slot, whoever holds it.

prometheus_client keeps a set for each process id, and would keep those of every worker that ever died. A slot is the
lowest number that no living worker has; the next one to hold it counts on where the last one stopped, however that
ended. A gauge says how things are with a process, so those of a dead one are removed.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import values
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.observability import metric_values
from app.observability.metrics import book


def share(folder: Path) -> None:
    """Keep all values in files from now on; called in the master, before there are workers.

    prometheus_client chooses the class of values when it is imported, by PROMETHEUS_MULTIPROC_DIR, which is too early
    for a folder that each server makes anew. Where there is none, as in commands, in `flask run` and in tests, the same
    code keeps its values in memory.
    """
    values.ValueClass = metric_values.FileValue
    metric_values.write_to(folder, "master")
    book.forget()
    book.source = lambda: collect(folder)
    book.make()


def free_slot(taken: Iterable[int]) -> int:
    """Return the lowest number that is not TAKEN."""
    used = set(taken)
    return next(slot for slot in itertools.count() if slot not in used)


def hold(folder: Path, slot: int) -> None:
    """Write as the holder of a slot; called in the worker, after the fork."""
    release(folder, slot)  # again: a gauge that was left by whom the master never missed would count for ever
    metric_values.write_to(folder, str(slot))


def release(folder: Path, slot: int) -> None:
    """Remove the gauges of a slot whose holder is dead."""
    mark_process_dead(slot, str(folder))  # type: ignore[no-untyped-call]


def workers(folder: Path) -> int:
    """Count the slots that are held."""
    return sum(1 for _ in folder.glob("gauge_livesum_[0-9]*.db"))


def collect(folder: Path) -> Iterable[Family]:
    """Add all files up. One that is empty was about to be made, by a process that may have been killed there."""
    files = [str(path) for path in folder.glob("*.db") if _size(path)]
    merged: Iterable[Family] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return merged


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
