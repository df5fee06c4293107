"""Fakes for the cache: a store that can be unavailable, a clock, and a Redis client with its subscriptions."""

from types import SimpleNamespace

import redis

from app.cache.stores.base import StoreUnavailableError
from app.cache.stores.memory import MemoryStore
from app.cache.stores.redis import RedisStore

METHODS = {"get_many", "add", "set", "delete", "invalidate", "statistics"}


class FlakyStore(MemoryStore):
    """A store that raises StoreUnavailableError while `unavailable` is true."""

    def __init__(self, max_bytes=2**20, **options):
        self.unavailable = False
        super().__init__(max_bytes, **options)

    def __getattribute__(self, name):
        """Raise instead of returning a method of the store."""
        if name in METHODS and object.__getattribute__(self, "unavailable"):
            raise StoreUnavailableError
        return super().__getattribute__(name)


class Clock:
    """A clock that tests move."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        """Return the time."""
        return self.now


class FakeRedis:
    """Records the commands that it receives, and fails with `error` if that is set. MGET returns `values`.

    Subscribers find published messages in their inbox, until the connection is cut.
    """

    def __init__(self):
        self.connection_pool = SimpleNamespace(connection_kwargs={"socket_timeout": 0.25})
        self.commands, self.values, self.error = [], {}, None
        self.subscribers = []
        self.accepts_subscribers = True
        self.answers_pings = True

    def __getattr__(self, name):
        """Return the command called NAME."""

        def command(*arguments, **options):
            self.commands.append((name, *arguments, *options.items()))
            if self.error:
                raise self.error

        return command

    def mget(self, keys):
        """Return the values of KEYS."""
        self.commands.append(("mget", *keys))
        if self.error:
            raise self.error
        return [self.values.get(key) for key in keys]

    def pipeline(self, **_options):
        """Return a pipeline."""
        return FakePipeline(self)

    def pubsub(self):
        """Return a new subscriber."""
        return FakePubSub(self)

    def publish(self, text):
        """Send a message to every subscriber."""
        for subscriber in self.subscribers:
            subscriber.inbox.append({"type": "message", "data": text.encode()})

    def cut(self):
        """Close every connection."""
        for subscriber in self.subscribers:
            subscriber.broken = True
        self.subscribers = []


class FakePipeline(list):
    """Collects commands, and records them as one."""

    def __init__(self, client):
        super().__init__()
        self.client = client

    def __enter__(self):
        """Return the pipeline."""
        return self

    def __exit__(self, *_error):
        """Do nothing."""

    def __getattr__(self, name):
        """Return the command called NAME."""
        return lambda *arguments, **options: self.append((name, *arguments, *options.items())) or self

    def execute(self):
        """Send all commands."""
        self.client.pipelined(*self)


class FakePubSub:
    """A subscriber with its own inbox."""

    def __init__(self, server):
        self.server, self.inbox, self.broken, self.closed = server, [], False, False
        self.connection = self
        self.pings = 0

    def subscribe(self, _channel):
        """Subscribe; the first message is the confirmation."""
        if not self.server.accepts_subscribers:
            raise redis.ConnectionError
        self.server.subscribers.append(self)
        self.inbox.append({"type": "subscribe", "data": 1})

    def can_read(self, timeout):
        """Whether a message has arrived."""
        assert timeout == 0, "a hit must not wait for messages"
        if self.broken:
            raise redis.ConnectionError
        return bool(self.inbox)

    def get_message(self, timeout):  # noqa: ARG002 - redis-py's name
        """Return the oldest message."""
        return self.inbox.pop(0) if self.inbox else None

    def ping(self):
        """Receive a pong, if the server answers."""
        self.pings += 1
        if self.server.answers_pings:
            self.inbox.append({"type": "pong", "data": b""})

    def close(self):
        """Close the connection."""
        self.closed = True


def redis_store():
    """Return a RedisStore with a fake client and a circuit breaker whose clock the test moves."""
    store = RedisStore("redis://cache", 0.25)
    store.client = FakeRedis()
    store.breaker.clock = Clock()
    return store
