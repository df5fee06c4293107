"""Where the cache keeps its bytes: what any store must do, and a Redis that all processes share."""

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.cache.entry import Entry
from app.cache.stores.local import CHANNEL, NEVER, NearCache
from app.db.circuit_breaker import CircuitBreaker, CircuitOpenError
from app.observability import backend_errors, metrics

T = TypeVar("T")
log = logging.getLogger(__name__)

STATISTICS = "cache:statistics"

# The `error_type` label of each error.
KINDS: dict[type[Exception], str] = {
    CircuitOpenError: "circuit_open",
    redis.TimeoutError: "timeout",
    redis.ConnectionError: "unavailable",
    redis.RedisError: "other",
}


class UnavailableError(Exception):
    """The store does not answer, or was found not to a moment ago. The caller goes on without a cache."""


class Store(Protocol):
    """What the cache asks of a store; values are bytes, times to live are seconds.

    Every call may raise UnavailableError, and takes no longer than the store's timeout.
    """

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of KEYS, None for each that is not there, in one round trip."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Write KEY only if it is not there; return whether it was written."""

    def write(self, key: str, value: bytes, ttl: float, *, unlock: str) -> None:
        """Write KEY, then remove the key UNLOCK."""

    def change(self, words: Mapping[str, bytes], ttl: float) -> None:
        """Give tags new words, and let every process know."""

    def recall(self, key: str, tags: Sequence[str]) -> tuple[Entry | None, int]:
        """Return a copy of the entry that this process keeps, if it knows that the tags still have their words."""

    def remember(self, key: str, entry: Entry | None, tags: Sequence[str], words: Sequence[str], seen: int) -> None:
        """Keep a copy of what was read; SEEN is what `recall` returned before it was."""

    def remove(self, key: str) -> None:
        """Forget KEY."""

    def count(self, counts: Mapping[str, int]) -> None:
        """Add to the totals that all processes share."""

    def describe(self) -> dict[str, Any]:
        """Return the kind of store, its totals and its size."""

    def ping(self) -> str:
        """Return "connected"; raise UnavailableError unless the store answers."""


class RedisStore:
    """A Redis or Valkey server. After three failures in a row it is left alone for two seconds."""

    def __init__(self, url: str, timeout: float) -> None:
        # Any: redis-py annotates each answer as all that any version and setting could give
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # redis-py 8 retries ten times by default: 4.5 s on a refused port
            health_check_interval=0,
        )
        self.near = NearCache(self.client)
        self.near_again = 0.0
        on_state_change = functools.partial(metrics.put, "circuit_breaker_open", backend="redis")
        self.breaker = CircuitBreaker(failures=3, pause=2.0, on_state_change=on_state_change)

    def _call(self, operation: Callable[[], T], *, count_success: bool = True) -> T:
        try:
            with self.breaker.guard(redis.RedisError, count_success=count_success):
                return operation()
        except (redis.RedisError, CircuitOpenError) as error:
            backend_errors.count("redis", error, KINDS)
            raise UnavailableError(type(error).__name__) from error

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._call(lambda: self.client.mget(keys))

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return bool(self._call(lambda: self.client.set(key, value, px=_ms(ttl), nx=True)))

    def write(self, key: str, value: bytes, ttl: float, *, unlock: str) -> None:
        self._send(lambda pipe: pipe.set(key, value, px=_ms(ttl)).delete(unlock))

    def change(self, words: Mapping[str, bytes], ttl: float) -> None:
        def fill(pipe: Any) -> None:
            for tag, word in words.items():
                pipe.set(tag, word, px=_ms(ttl))
            pipe.publish(CHANNEL, " ".join(words))

        self._send(fill)

    def recall(self, key: str, tags: Sequence[str]) -> tuple[Entry | None, int]:
        if self.breaker.state == "open":
            return None, 0  # whether Redis is back, the read that follows finds out
        if time.monotonic() < self.near_again:
            return None, NEVER
        try:
            return self._call(lambda: self.near.look(key, tags), count_success=False)  # mostly local
        except UnavailableError as error:
            if not isinstance(error.__cause__, redis.ResponseError):
                raise
            log.warning("Redis allows no subscription (%s): its answers are not kept near", error.__cause__)
            self.near_again = time.monotonic() + 60
            return None, NEVER

    def remember(self, key: str, entry: Entry | None, tags: Sequence[str], words: Sequence[str], seen: int) -> None:
        self.near.keep(key, entry, tags, words, seen)

    def _send(self, fill: Callable[[Any], object]) -> None:
        """Send several commands in one round trip."""

        def send() -> None:
            with self.client.pipeline(transaction=False) as pipe:
                fill(pipe)
                pipe.execute()

        self._call(send)

    def remove(self, key: str) -> None:
        self._call(lambda: self.client.delete(key))

    def count(self, counts: Mapping[str, int]) -> None:
        self._send(lambda pipe: [pipe.hincrby(STATISTICS, name, number) for name, number in counts.items()])

    def describe(self) -> dict[str, Any]:
        totals = self._call(lambda: self.client.hgetall(STATISTICS))
        memory = self._call(lambda: self.client.info("memory"))
        return {
            "backend": "redis",
            "totals": {name.decode(): int(number) for name, number in totals.items()},
            "keys": self._call(self.client.dbsize),
            "bytes": memory["used_memory"],
        }

    def ping(self) -> str:
        self._call(self.client.ping)
        return "connected"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
