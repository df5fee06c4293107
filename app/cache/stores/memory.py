"""The cache's store in one process: the embedded run needs no Redis."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.cache.entry import Entry


class MemoryStore:
    """The same in one process: at most MAX_BYTES of values, the least recently used dropped first."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self.clock = clock
        self.values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        self.totals: Counter[str] = Counter()
        self.lock = threading.Lock()

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        with self.lock:
            return [self._get(key) for key in keys]

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self.lock:
            if self._get(key) is not None:
                return False
            self._put(key, value, ttl)
            return True

    def write(self, key: str, value: bytes, ttl: float, *, unlock: str) -> None:
        with self.lock:
            self._put(key, value, ttl)
            self._drop(unlock)

    def change(self, words: Mapping[str, bytes], ttl: float) -> None:
        with self.lock:
            for tag, word in words.items():
                self._put(tag, word, ttl)

    def recall(self, key: str, tags: Sequence[str]) -> tuple[Entry | None, int]:  # noqa: ARG002 - it is all as near
        return None, 0

    def remember(self, key: str, entry: Entry | None, tags: Sequence[str], words: Sequence[str], seen: int) -> None:
        """Everything is in this process already."""

    def remove(self, key: str) -> None:
        with self.lock:
            self._drop(key)

    def count(self, counts: Mapping[str, int]) -> None:
        with self.lock:
            self.totals.update(counts)

    def describe(self) -> dict[str, Any]:
        with self.lock:
            return {"backend": "process", "totals": dict(self.totals), "keys": len(self.values), "bytes": self.bytes}

    def ping(self) -> str:
        return "connected"

    def _get(self, key: str) -> bytes | None:
        if key not in self.values:
            return None
        expires, value = self.values[key]
        if expires <= self.clock():
            self._drop(key)
            return None
        self.values.move_to_end(key)
        return value

    def _put(self, key: str, value: bytes, ttl: float) -> None:
        self._drop(key)
        if len(value) > self.max_bytes:
            return
        self.values[key] = (self.clock() + ttl, value)
        self.bytes += len(value)
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self.values)))

    def _drop(self, key: str) -> None:
        if key in self.values:
            self.bytes -= len(self.values.pop(key)[1])
