"""A store in process memory, for a deployment without Redis and for copies of what Redis holds."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OVERHEAD = 350  # bytes that Python uses for a key and its value besides their characters


class MemoryStore:
    """Holds at most MAX_BYTES and evicts the least recently used keys."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self.clock = clock
        self.values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        self.lock = threading.Lock()

    def get_many(self, keys: Sequence[str], *, consistent: bool = False) -> list[bytes | None]:  # noqa: ARG002 - always is
        with self.lock:
            return [self._get(key) for key in keys]

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self.lock:
            if self._get(key) is not None:
                return False
            self._set(key, value, ttl)
            return True

    def set(self, key: str, value: bytes, ttl: float) -> None:
        with self.lock:
            self._set(key, value, ttl)

    def delete(self, key: str) -> None:
        with self.lock:
            self._delete(key)

    def invalidate(self, versions: Mapping[str, bytes], ttl: float) -> None:
        with self.lock:
            for key, version in versions.items():
                self._set(key, version, ttl)

    def clear(self) -> None:
        """Delete every key."""
        with self.lock:
            self.values.clear()
            self.bytes = 0

    def statistics(self) -> dict[str, Any]:
        with self.lock:
            return {"backend": "process", "keys": len(self.values), "bytes": self.bytes}

    def _get(self, key: str) -> bytes | None:
        if key not in self.values:
            return None
        expires_at, value = self.values[key]
        if expires_at <= self.clock():
            self._delete(key)
            return None
        self.values.move_to_end(key)
        return value

    def _set(self, key: str, value: bytes, ttl: float) -> None:
        self._delete(key)
        if _size(key, value) > self.max_bytes:
            return
        self.values[key] = (self.clock() + ttl, value)
        self.bytes += _size(key, value)
        while self.bytes > self.max_bytes:
            self._delete(next(iter(self.values)))

    def _delete(self, key: str) -> None:
        if key in self.values:
            self.bytes -= _size(key, self.values.pop(key)[1])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD
