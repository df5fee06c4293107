"""Local copies of a shared store: never older than the last invalidation published before the request."""

import pytest
import redis

from app.cache.stores.base import StoreUnavailableError
from app.cache.stores.local import COPY_TTL, LocalStore
from app.cache.stores.memory import OVERHEAD
from tests.support.cache_fakes import Clock, redis_store

KEYS = ["k", "all", "products"]
VALUES = {"k": b"entry", "all": b"v1", "products": b"v2"}


@pytest.fixture
def shared():
    """A store in a fake Redis that holds VALUES."""
    shared = redis_store()
    shared.client.values = dict(VALUES)
    return shared


@pytest.fixture
def server(shared):
    """The fake Redis."""
    return shared.client


@pytest.fixture
def local(shared):
    """A local store over it."""
    return LocalStore(shared)


def reads(server):
    """Return the number of reads that reached the server."""
    return sum(command[0] == "mget" for command in server.commands)


def test_second_read_is_local(local, server):
    """A repeated read does not reach the server."""
    assert [local.get_many(KEYS) for _ in range(2)] == [list(VALUES.values())] * 2
    assert reads(server) == 1


def test_consistent_read(local, server):
    """A consistent read reaches the server, and renews the copies."""
    local.get_many(KEYS)
    server.values["k"] = b"newer"
    assert local.get_many(KEYS)[0] == b"entry"
    assert local.get_many(KEYS, consistent=True)[0] == b"newer"
    assert local.get_many(KEYS)[0] == b"newer"
    assert reads(server) == 2


def test_missing_value_is_not_copied(local, server):
    """A missing value is read again."""
    del server.values["k"]
    local.get_many(KEYS)
    server.values["k"] = b"set"
    assert local.get_many(KEYS)[0] == b"set"


def test_invalidation(local, server):
    """An invalidation published before a read deletes the copy; one message may name several keys."""
    local.get_many(KEYS)
    server.publish("customers orders")
    local.get_many(KEYS)
    assert reads(server) == 1
    server.publish("customers products")
    local.get_many(KEYS)
    assert reads(server) == 2


def test_invalidation_during_read(local, server, shared, monkeypatch):
    """A value read before an invalidation arrived is not copied: it may be the old one."""

    def read(keys):
        server.publish("products")
        local.get_many(["other"])
        return [VALUES[key] for key in keys]

    monkeypatch.setattr(shared, "get_many", lambda keys: read(keys) if keys == KEYS else [None])
    local.get_many(KEYS)
    assert not local.copies.values


def test_set_deletes_copy(local, server):
    """A process that sets a value reads it from the server afterwards."""
    local.get_many(KEYS)
    server.values["k"] = b"set"
    local.set("k", b"set", 60)
    assert local.get_many(KEYS)[0] == b"set"


def test_copies_expire(local, server):
    """A copy expires after COPY_TTL."""
    local.copies.clock = Clock()
    local.get_many(KEYS)
    local.copies.clock.now += COPY_TTL
    local.get_many(KEYS)
    assert reads(server) == 2


def test_copies_are_bounded(shared):
    """The copies never exceed their limit."""
    local = LocalStore(shared, max_bytes=2 * OVERHEAD + 100)
    local.get_many(KEYS)
    assert len(local.copies.values) == 2


@pytest.mark.parametrize("error", [redis.ConnectionError(), OSError()])
def test_lost_subscription(local, server, error):
    """A lost connection may have lost invalidations, so all copies are deleted; the next request subscribes again."""

    def fail(timeout):  # noqa: ARG001 - redis-py's name
        raise error

    local.get_many(KEYS)
    lost = local.subscription.pubsub
    lost.can_read = fail
    with pytest.raises(StoreUnavailableError):
        local.get_many(KEYS)
    assert lost.closed
    assert not local.copies.values
    assert [local.get_many(KEYS) for _ in range(2)] == [list(VALUES.values())] * 2
    assert reads(server) == 2


def test_subscription_lost_during_read(local, server, shared, monkeypatch):
    """A value read over a connection that is lost meanwhile is not copied."""

    def read(keys):
        server.cut()
        with pytest.raises(StoreUnavailableError):
            local.get_many(["other"])
        monkeypatch.undo()
        local.get_many(["other"])
        return [VALUES[key] for key in keys]

    monkeypatch.setattr(shared, "get_many", read)
    local.get_many(KEYS)
    assert not local.copies.values


def test_no_subscription_no_copies(local, server):
    """Without a subscription nothing is copied."""
    server.accepts_subscribers = False
    with pytest.raises(StoreUnavailableError):
        local.get_many(KEYS)
    assert not local.copies.values


def test_refused_subscription(local, server, logged):
    """A Redis user without the right to subscribe reads from the server; the log has one warning."""
    log = logged()

    def refuse(_channel):
        raise redis.ResponseError("NOPERM")

    refusing = server.pubsub()
    refusing.subscribe = refuse
    server.pubsub = lambda: refusing
    assert [local.get_many(KEYS) for _ in range(2)] == [list(VALUES.values())] * 2
    assert (reads(server), len(log.lines)) == (2, 1)


def test_silent_subscription_is_pinged(local):
    """After a second without a message a ping verifies the subscription; the copies stay."""
    local.get_many(KEYS)
    local.subscription.last_message -= 2
    local.get_many(KEYS)
    assert local.subscription.pubsub.pings == 1
    assert local.copies.values


def test_dead_subscription(local, server):
    """A subscription that does not answer the ping is lost."""
    local.get_many(KEYS)
    server.answers_pings = False
    local.subscription.last_message -= 2
    with pytest.raises(StoreUnavailableError):
        local.get_many(KEYS)
    assert not local.copies.values


def test_busy_subscription(local, server):
    """While another thread waits for Redis, a request reads from the server, and copies nothing."""
    with local.lock:
        assert local.get_many(KEYS) == list(VALUES.values())
    assert not local.copies.values
    assert reads(server) == 1


def test_open_circuit(local, server):
    """While the circuit is open, no request reads copies: they may be outdated."""
    local.get_many(KEYS)
    server.error = redis.TimeoutError()
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            local.get_many(KEYS, consistent=True)
    with pytest.raises(StoreUnavailableError):
        local.get_many(KEYS)
