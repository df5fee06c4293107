"""The store in Redis, against a stand-in for the client: what is sent, and what becomes of its failures."""

import pytest
import redis

from app.cache.stores.redis import RedisStore, UnavailableError
from tests.support.cache_fakes import redis_store


@pytest.fixture
def store():
    """A store whose client is a stand-in and whose breaker has a clock of its own."""
    return redis_store()


CALLS = {
    "read": lambda store: store.read(["a"]),
    "add": lambda store: store.add("a", b"1", 1),
    "write": lambda store: store.write("a", b"1", 1, unlock="b"),
    "change": lambda store: store.change({"t": b"1"}, 1),
    "remove": lambda store: store.remove("a"),
    "count": lambda store: store.count({"hit": 1}),
    "describe": lambda store: store.describe(),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError(), redis.ResponseError("OOM")])
def test_failure(store, call, error):
    """Whatever the server's failure is, the cache hears one thing: unavailable."""
    store.client.error = error
    with pytest.raises(UnavailableError):
        call(store)


@pytest.mark.parametrize("error", [redis.ConnectionError(), OSError()])
def test_lost_subscription(store, error):
    """So it does when the connection is lost over which changes are announced."""

    def lose(timeout):  # noqa: ARG001 - redis-py's name
        raise error

    store.recall("k", [])
    store.near.subscription.can_read = lose
    with pytest.raises(UnavailableError):
        store.recall("k", [])


def test_left_alone(store):
    """After three failures in a row the server is not asked for two seconds: a request costs no timeout then."""
    store.client.error = redis.TimeoutError()
    for _ in range(5):
        with pytest.raises(UnavailableError):
            store.read(["a"])
    assert len(store.client.asked) == 3
    store.breaker.clock.now += 2
    store.client.error = None
    store.read(["a"])
    assert len(store.client.asked) == 4


def test_write_is_one_trip(store):
    """An answer is written and its lock opened in one round trip."""
    store.write("a", b"1", 1.5, unlock="a:lock")
    assert store.client.asked == [("pipelined", ("set", "a", b"1", ("px", 1500)), ("delete", "a:lock"))]


def test_change_is_announced(store):
    """A tag's new word is written before it is announced, in the same trip: who hears of it finds it."""
    store.change({"t": b"1", "u": b"2"}, 60)
    words = [("set", "t", b"1", ("px", 60_000)), ("set", "u", b"2", ("px", 60_000))]
    assert store.client.asked == [("pipelined", *words, ("publish", "cache:changed", "t u"))]


def test_lock(store):
    """A lock is taken only if nobody has it, and ends by itself."""
    store.add("a:lock", b"1", 10)
    assert store.client.asked == [("set", "a:lock", b"1", ("px", 10_000), ("nx", True))]


def test_time_to_live_is_never_zero(store):
    """A time too short for a millisecond is one: Redis refuses zero."""
    store.add("a", b"1", 0.0001)
    assert ("px", 1) in store.client.asked[0]


def test_timeouts():
    """No wait for the server is longer than REDIS_TIMEOUT, and none is tried again."""
    kwargs = RedisStore("redis://cache", 0.25).client.connection_pool.connection_kwargs
    assert (kwargs["socket_timeout"], kwargs["socket_connect_timeout"]) == (0.25, 0.25)
    assert kwargs["retry"].get_retries() == 0
