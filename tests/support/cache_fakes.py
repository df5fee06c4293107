"""Stand-ins for what the cache talks to: a store that can be away, a clock, and Redis' side of a subscription."""

from types import SimpleNamespace

import redis

from app.cache.stores.memory import MemoryStore
from app.cache.stores.redis import RedisStore, UnavailableError

ASKED = {"read", "add", "write", "change", "recall", "remove", "count", "describe"}


class FlakyStore(MemoryStore):
    """The store of one process, which does not answer while `away` is true; `writes` has what it kept."""

    def __init__(self, max_bytes=2**20, **options):
        self.away = False
        super().__init__(max_bytes, **options)

    def __getattribute__(self, name):
        """Raise instead of giving the method out."""
        if name in ASKED and object.__getattribute__(self, "away"):
            raise UnavailableError
        return super().__getattribute__(name)


class Clock:
    """A time that passes only when it is told to."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        """Return the time."""
        return self.now


class FakeRedis:
    """A server as its subscribers see it: they find what it publishes when they look, or that it cut the connection."""

    def __init__(self):
        self.connection_pool = SimpleNamespace(connection_kwargs={"socket_timeout": 0.25})
        self.subscribers = []
        self.reachable = True
        self.silent = False

    def pubsub(self):
        """Return a new subscriber."""
        return FakePubSub(self)

    def publish(self, text):
        """Send a message to every subscriber."""
        for subscriber in self.subscribers:
            subscriber.inbox.append({"type": "message", "data": text.encode()})

    def cut(self):
        """End every connection."""
        for subscriber in self.subscribers:
            subscriber.broken = True
        self.subscribers = []


class FakePubSub:
    """One subscription, with its own inbox."""

    def __init__(self, server):
        self.server, self.inbox, self.broken, self.closed = server, [], False, False
        self.connection = self
        self.asked = 0

    def subscribe(self, _channel):
        """Begin to receive; the first message is the server's confirmation."""
        if not self.server.reachable:
            raise redis.ConnectionError
        self.server.subscribers.append(self)
        self.inbox.append({"type": "subscribe", "data": 1})

    def can_read(self, timeout):
        """Whether something has arrived."""
        assert timeout == 0, "a hit must not wait for news"
        if self.broken:
            raise redis.ConnectionError
        return bool(self.inbox)

    def get_message(self, timeout):  # noqa: ARG002 - redis-py's name
        """Return what arrived first."""
        return self.inbox.pop(0) if self.inbox else None

    def ping(self):
        """Ask whether the server is there."""
        self.asked += 1
        if not self.server.silent:
            self.inbox.append({"type": "pong", "data": b""})

    def close(self):
        """Give the connection back."""
        self.closed = True


class Client(FakeRedis):
    """Remembers what it was asked, and fails with `error` if there is one."""

    def __init__(self):
        super().__init__()
        self.asked, self.error = [], None

    def __getattr__(self, name):
        """Return the command called NAME."""

        def command(*words, **options):
            self.asked.append((name, *words, *options.items()))
            if self.error:
                raise self.error

        return command

    def pipeline(self, **_options):
        """Return what several commands are collected in."""
        return Pipeline(self)


class Pipeline(list):
    """Collects commands, and sends them as one."""

    def __init__(self, client):
        super().__init__()
        self.client = client

    def __enter__(self):
        """Begin."""
        return self

    def __exit__(self, *_error):
        """End."""

    def __getattr__(self, name):
        """Return the command called NAME."""
        return lambda *words, **options: self.append((name, *words, *options.items())) or self

    def execute(self):
        """Send all."""
        self.client.pipelined(*self)


def redis_store():
    """Return the store in Redis with a client that is a stand-in, and a breaker that has a clock of its own."""
    store = RedisStore("redis://cache", 0.25)
    store.client = store.near.client = Client()
    store.breaker.clock = Clock()
    return store
