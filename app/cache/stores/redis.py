"""A store in Redis or Valkey, which all processes share."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.cache.stores.base import StoreUnavailableError
from app.db.circuit_breaker import CircuitBreaker, CircuitOpenError
from app.observability import backend_errors, metrics

T = TypeVar("T")

CHANNEL = "cache:changed"

ERROR_TYPES: dict[type[Exception], str] = {
    CircuitOpenError: "circuit_open",
    redis.TimeoutError: "timeout",
    redis.ConnectionError: "unavailable",
    redis.RedisError: "other",
}


class RedisStore:
    """Three failures in a row open its circuit breaker for two seconds."""

    def __init__(self, url: str, timeout: float) -> None:
        # Any: redis-py annotates each result as the union of all versions and settings
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # redis-py 8 retries ten times by default: 4.5 s on a refused port
            health_check_interval=0,
        )
        on_state_change = functools.partial(metrics.set_gauge, "circuit_breaker_open", backend="redis")
        self.breaker = CircuitBreaker(failures=3, pause=2.0, on_state_change=on_state_change)

    def execute(self, operation: Callable[[], T]) -> T:
        """Run OPERATION behind the circuit breaker; raise StoreUnavailableError if Redis fails."""
        try:
            with self.breaker.guard(redis.RedisError):
                return operation()
        except (redis.RedisError, CircuitOpenError) as error:
            backend_errors.count("redis", error, ERROR_TYPES)
            raise StoreUnavailableError(type(error).__name__) from error

    def fail(self, error: redis.RedisError) -> NoReturn:
        """Record the failure of a connection outside `execute`, and raise StoreUnavailableError."""

        def operation() -> NoReturn:
            raise error

        self.execute(operation)

    def get_many(self, keys: Sequence[str], *, consistent: bool = False) -> list[bytes | None]:  # noqa: ARG002 - always is
        return self.execute(lambda: self.client.mget(keys))

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return bool(self.execute(lambda: self.client.set(key, value, px=_milliseconds(ttl), nx=True)))

    def set(self, key: str, value: bytes, ttl: float) -> None:
        self.execute(lambda: self.client.set(key, value, px=_milliseconds(ttl)))

    def delete(self, key: str) -> None:
        self.execute(lambda: self.client.delete(key))

    def invalidate(self, versions: Mapping[str, bytes], ttl: float) -> None:
        def send() -> None:
            with self.client.pipeline(transaction=False) as pipe:
                for key, version in versions.items():
                    pipe.set(key, version, px=_milliseconds(ttl))
                pipe.publish(CHANNEL, " ".join(versions))  # last: a subscriber that reads then finds the new version
                pipe.execute()

        self.execute(send)

    def statistics(self) -> dict[str, Any]:
        memory = self.execute(lambda: self.client.info("memory"))
        return {"backend": "redis", "keys": self.execute(self.client.dbsize), "bytes": memory["used_memory"]}

    def ping(self) -> str:
        """Return "connected", for the readiness probe."""
        self.execute(self.client.ping)
        return "connected"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
