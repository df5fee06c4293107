"""The invalidations that processes publish to each other over Redis."""

import time
from typing import Any

import redis

from app.cache.stores.redis import CHANNEL

MAX_SILENCE = 1.0  # seconds without a message, after which a ping verifies the connection


class Subscription:
    """A subscription of one process, which opens with the first `receive`. Not thread-safe."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.pubsub: Any = None
        self.last_message = 0.0
        self.keys: list[str] = []

    def receive(self) -> list[str]:
        """Return the keys invalidated since the last call, without waiting; raise redis.RedisError if disconnected."""
        try:
            if self.pubsub is None:
                self._open()
            while self.pubsub.connection.can_read(timeout=0):
                self._handle(self.pubsub.get_message(timeout=0))
            if time.monotonic() - self.last_message > MAX_SILENCE:
                self._ping()
        except OSError as error:
            raise redis.ConnectionError("the subscription is lost") from error
        keys, self.keys = self.keys, []
        return keys

    def close(self) -> None:
        """Close the connection; the next `receive` opens another."""
        if self.pubsub is not None:
            self.pubsub.close()
            self.pubsub = None

    def _open(self) -> None:
        self.pubsub = self.client.pubsub()
        self.pubsub.subscribe(CHANNEL)
        self._wait_for("subscribe")

    def _ping(self) -> None:
        """Detect a connection that the network has dropped silently."""
        self.pubsub.ping()
        self._wait_for("pong")

    def _wait_for(self, kind: str) -> None:
        timeout = self.client.connection_pool.connection_kwargs["socket_timeout"]
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            message = self.pubsub.get_message(timeout=remaining)
            self._handle(message)
            if message and message["type"] == kind:
                return
        raise redis.TimeoutError(f"no {kind} within {timeout} s")

    def _handle(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        self.last_message = time.monotonic()
        if message["type"] == "message":
            self.keys += message["data"].decode().split()
