"""Copies of what this process has read from Redis, so that a hit needs no round trip.

Each process subscribes to invalidations and applies those received before it serves a copy. A request that starts after
an invalidation was published therefore never gets an older response. Without a subscription there are no copies.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from app.cache.stores.memory import MemoryStore
from app.cache.stores.redis import RedisStore
from app.cache.stores.subscription import Subscription

MAX_BYTES = 16 * 2**20
COPY_TTL = 60.0
LOCK_TIMEOUT = 0.02  # seconds
RESUBSCRIBE_DELAY = 60.0

log = logging.getLogger(__name__)


class LocalStore:
    """Serves repeated reads of a shared store from process memory."""

    def __init__(self, shared: RedisStore, max_bytes: int = MAX_BYTES) -> None:
        self.shared = shared
        self.subscription = Subscription(shared.client)
        self.copies = MemoryStore(max_bytes)
        self.generation = 0  # grows with each invalidation: a value read before it may be outdated
        self.subscribe_at = 0.0
        self.lock = threading.Lock()

    def get_many(self, keys: Sequence[str], *, consistent: bool = False) -> list[bytes | None]:
        generation = self._synchronize()
        if generation is not None and not consistent:
            values = self.copies.get_many(keys)
            if None not in values:
                return values
        values = self.shared.get_many(keys)
        if generation is not None:
            self._copy(keys, values, generation)
        return values

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return self.shared.add(key, value, ttl)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self.shared.set(key, value, ttl)
        self.copies.delete(key)

    def delete(self, key: str) -> None:
        self.shared.delete(key)
        self.copies.delete(key)

    def invalidate(self, versions: Mapping[str, bytes], ttl: float) -> None:
        self.shared.invalidate(versions, ttl)  # this process receives its own message, too

    def statistics(self) -> dict[str, Any]:
        return self.shared.statistics()

    def _synchronize(self) -> int | None:
        """Apply the invalidations received so far; return the generation, or None if copies cannot be used now."""
        if time.monotonic() < self.subscribe_at or self.shared.breaker.state == "open":
            return None
        if not self.lock.acquire(timeout=LOCK_TIMEOUT):
            return None  # another thread waits for Redis; do not wait behind it
        try:
            for key in self.subscription.receive():
                self.copies.delete(key)
                self.generation += 1
        except redis.ResponseError as error:
            self._reset()
            log.warning("Redis refuses the subscription (%s); its values are not copied", error)
            self.subscribe_at = time.monotonic() + RESUBSCRIBE_DELAY
            return None
        except redis.RedisError as error:
            self._reset()
            self.shared.fail(error)
        finally:
            self.lock.release()
        return self.generation

    def _copy(self, keys: Sequence[str], values: Sequence[bytes | None], generation: int) -> None:
        with self.lock:
            if generation != self.generation:
                return
            for key, value in zip(keys, values, strict=True):
                if value is not None:
                    self.copies.set(key, value, COPY_TTL)

    def _reset(self) -> None:
        """Discard the copies: an invalidation may have been lost with the subscription."""
        self.generation += 1
        self.copies.clear()
        self.subscription.close()
