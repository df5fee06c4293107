"""A metric's value in a file, in prometheus_client's format: what a process writes, any other can read and add up.

prometheus_client has such values too, for processes that are forked from anywhere, at any time: each change finds out
which process this is, and looks the place up. Here a worker says once which files are its own, and a value knows its
place. A change is one store of eight bytes, done whole or not at all, and takes a third of the time.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

LOCK = threading.Lock()


class Files:
    """The files of this process, and every value that is kept in them."""

    folder = Path()
    owner = ""
    opened: dict[str, Any] = {}  # noqa: RUF012 - one process has one set
    values: list["FileValue"] = []  # noqa: RUF012

    @classmethod
    def get(cls, kind: str) -> Any:
        """Return the file for one kind of values, which is made when the first needs it."""
        if kind not in cls.opened:
            path = cls.folder / f"{kind}_{cls.owner}.db"
            cls.opened[kind] = MmapedDict(str(path))  # type: ignore[no-untyped-call]
        return cls.opened[kind]


def write_to(folder: Path, owner: str) -> None:
    """Go on in the files of OWNER: each value becomes what they say, or zero. A parent process keeps its own."""
    with LOCK:
        _close()
        Files.folder, Files.owner = folder, owner
        for value in Files.values:
            value.open()


def _close() -> None:
    for value in Files.values:
        value.cells.release()  # or the file could not be closed
    for file in Files.opened.values():
        file.close()
    Files.opened = {}


class FileValue:
    """What prometheus_client's metrics expect of a value."""

    _multiprocess = True

    def __init__(  # noqa: PLR0913, PLR0917 - prometheus_client's order
        self,
        kind: str,
        metric: str,
        name: str,
        labels: Sequence[str],
        label_values: Sequence[str],
        meaning: str,
        multiprocess_mode: str = "",
    ) -> None:
        self.kind = f"{kind}_{multiprocess_mode}" if multiprocess_mode else kind
        self.key = mmap_key(metric, name, list(labels), list(label_values), meaning)
        with LOCK:
            Files.values.append(self)
            self.open()

    def open(self) -> None:
        """Find its place in the file; a file that grows is mapped again, and this place is in the old map as well."""
        file = Files.get(self.kind)
        self.value = float(file.read_value(self.key)[0])
        self.place = file._positions[self.key] // 8  # noqa: SLF001 - there is no other way to the place
        self.cells = memoryview(file._m).cast("d")  # noqa: SLF001

    def inc(self, amount: float) -> None:
        """Add to it."""
        with LOCK:
            self.value += amount
            self.cells[self.place] = self.value

    def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002 - prometheus_client's signature
        """Change it."""
        with LOCK:
            self.value = self.cells[self.place] = value

    def get(self) -> float:
        """Return it, as far as this process knows."""
        return self.value

    def get_exemplar(self) -> None:
        """Return nothing: an example of what was counted is not kept."""
