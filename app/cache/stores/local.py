"""Answers that this process read from Redis, kept until somebody says that what they are made of changed.

A hit then costs no round trip. Whoever changes a tag's word publishes that in the same step; each process looks at its
subscription before it answers, so what was published before a request came is known to it. Without a subscription
nothing is kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import redis

from app.cache.entry import Entry

CHANNEL = "cache:changed"
MAX_BYTES = 16 * 2**20
BUSY = 0.02  # seconds
NEVER = -1  # no count of changes is ever so: what was read is not kept
QUIET = 1.0  # seconds without a word on the subscription, after which it must show that it lives


class NearCache:
    """Entries by key and words by tag, for one process and all of its threads. Calls may raise redis.RedisError."""

    def __init__(self, client: Any, max_bytes: int = MAX_BYTES) -> None:
        self.client = client
        self.max_bytes = max_bytes
        self.bytes = 0
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.words: dict[str, str] = {}
        self.changes = 0  # grows with each message: a word read before one arrived may be an old one
        self.subscription: Any = None
        self.heard = 0.0
        self.lock = threading.Lock()

    def look(self, key: str, tags: Sequence[str]) -> tuple[Entry | None, int]:
        """Return the entry if every tag still has the word that it was made under, and the count of changes seen."""
        if not self.lock.acquire(timeout=BUSY):
            return None, NEVER  # another thread waits for Redis; none shall wait behind it
        try:
            self._listen()
            entry = self.entries.get(key)
            if entry is None or entry.words != [self.words.get(tag) for tag in tags]:
                return None, self.changes
            self.entries.move_to_end(key)
            return entry, self.changes
        finally:
            self.lock.release()

    def keep(self, key: str, entry: Entry | None, tags: Sequence[str], words: Sequence[str], seen: int) -> None:
        """Keep what was just read from Redis, unless a change was published after SEEN was counted."""
        with self.lock:
            if self.subscription is None or seen != self.changes:
                return
            self.words.update(zip(tags, words, strict=True))
            if entry is not None:
                self._put(key, entry)

    def _put(self, key: str, entry: Entry) -> None:
        self._drop(key)
        if entry.size > self.max_bytes:
            return
        self.entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self.entries)))

    def _drop(self, key: str) -> None:
        if key in self.entries:
            self.bytes -= self.entries.pop(key).size

    def _listen(self) -> None:
        """Take in what was published; when the subscription is lost, forget everything and begin anew."""
        try:
            if self.subscription is None:
                self._subscribe()
            while self.subscription.connection.can_read(timeout=0):
                self._take(self.subscription.get_message(timeout=0))
            if time.monotonic() - self.heard > QUIET:
                self._ping()
        except (redis.RedisError, OSError) as error:
            self._forget_all()
            if isinstance(error, redis.RedisError):
                raise
            raise redis.ConnectionError("the subscription is lost") from error

    def _subscribe(self) -> None:
        self._forget_all()
        self.subscription = self.client.pubsub()
        self.subscription.subscribe(CHANNEL)
        self._wait_for("subscribe")

    def _ping(self) -> None:
        """Make sure that a silent subscription is not a dead one: a network can lose a connection without a word."""
        self.subscription.ping()
        self._wait_for("pong")

    def _wait_for(self, kind: str) -> None:
        timeout = self.client.connection_pool.connection_kwargs["socket_timeout"]
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            message = self.subscription.get_message(timeout=left)
            self._take(message)
            if message and message["type"] == kind:
                return
        raise redis.TimeoutError(f"no {kind} within {timeout} s")

    def _take(self, message: dict[str, Any] | None) -> None:
        if message:
            self.heard = time.monotonic()
        if message and message["type"] == "message":
            self.changes += 1
            for tag in message["data"].decode().split():
                self.words.pop(tag, None)

    def _forget_all(self) -> None:
        self.changes += 1
        self.entries.clear()
        self.words.clear()
        self.bytes = 0
        if self.subscription is not None:
            self.subscription.close()
            self.subscription = None
