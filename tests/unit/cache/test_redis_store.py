"""The store in Redis: the commands that it sends, and how it handles failures."""

import pytest
import redis

from app.cache.stores.base import StoreUnavailableError
from app.cache.stores.redis import RedisStore
from tests.support.cache_fakes import redis_store


@pytest.fixture
def store():
    """A store with a fake client."""
    return redis_store()


CALLS = {
    "get_many": lambda store: store.get_many(["a"]),
    "add": lambda store: store.add("a", b"1", 1),
    "set": lambda store: store.set("a", b"1", 1),
    "delete": lambda store: store.delete("a"),
    "invalidate": lambda store: store.invalidate({"t": b"1"}, 1),
    "statistics": lambda store: store.statistics(),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError(), redis.ResponseError("OOM")])
def test_failure(store, call, error):
    """Every failure of Redis raises StoreUnavailableError."""
    store.client.error = error
    with pytest.raises(StoreUnavailableError):
        call(store)


def test_circuit_breaker(store):
    """After three failures in a row no command is sent for two seconds."""
    store.client.error = redis.TimeoutError()
    for _ in range(5):
        with pytest.raises(StoreUnavailableError):
            store.get_many(["a"])
    assert len(store.client.commands) == 3
    store.breaker.clock.now += 2
    store.client.error = None
    store.get_many(["a"])
    assert len(store.client.commands) == 4


def test_invalidate(store):
    """Tag versions are set before they are published, in one round trip: a subscriber that reads finds the new ones."""
    store.invalidate({"t": b"1", "u": b"2"}, 60)
    versions = [("set", "t", b"1", ("px", 60_000)), ("set", "u", b"2", ("px", 60_000))]
    assert store.client.commands == [("pipelined", *versions, ("publish", "cache:changed", "t u"))]


def test_add(store):
    """`add` sets a key that does not exist, with an expiry."""
    store.add("a:lock", b"1", 10)
    assert store.client.commands == [("set", "a:lock", b"1", ("px", 10_000), ("nx", True))]


def test_time_to_live_is_at_least_a_millisecond(store):
    """Redis refuses an expiry of zero."""
    store.set("a", b"1", 0.0001)
    assert store.client.commands == [("set", "a", b"1", ("px", 1))]


def test_timeouts():
    """No command waits for longer than REDIS_TIMEOUT, and none is retried."""
    kwargs = RedisStore("redis://cache", 0.25).client.connection_pool.connection_kwargs
    assert (kwargs["socket_timeout"], kwargs["socket_connect_timeout"]) == (0.25, 0.25)
    assert kwargs["retry"].get_retries() == 0
