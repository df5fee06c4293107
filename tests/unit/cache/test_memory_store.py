"""The store in process memory: values expire, and the least recently used are evicted."""

import tracemalloc

import pytest

from app.cache.stores.memory import OVERHEAD, MemoryStore
from tests.support.cache_fakes import Clock

TTL = 60.0
VALUE = b"1234"
SIZE = OVERHEAD + len("a") + len(VALUE)


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return Clock()


@pytest.fixture
def store(clock):
    """A store for three values."""
    return MemoryStore(3 * SIZE, clock)


def test_get_many(store):
    """Values are returned in the order of the keys, None for a missing one."""
    store.set("a", b"1", TTL)
    store.set("b", b"2", TTL)
    assert store.get_many(["b", "none", "a"]) == [b"2", None, b"1"]


def test_expiry(store, clock):
    """A value expires with its time to live, not before."""
    store.set("a", b"1", TTL)
    clock.now += TTL - 0.1
    assert store.get_many(["a"]) == [b"1"]
    clock.now += 0.1
    assert store.get_many(["a"]) == [None]
    assert store.statistics()["bytes"] == 0


def test_add(store, clock):
    """Only the first `add` succeeds until the key expires, as a lock requires."""
    assert [store.add("lock", b"1", 5), store.add("lock", b"2", 5)] == [True, False]
    assert store.get_many(["lock"]) == [b"1"]
    clock.now += 5
    assert store.add("lock", b"3", 5)


def test_delete(store):
    """A deleted key is gone; deleting a missing key does nothing."""
    store.set("a", b"1", TTL)
    store.delete("a")
    store.delete("a")
    assert store.get_many(["a"]) == [None]


def test_bytes_are_bounded(store):
    """The values never exceed the limit; an overwritten one counts once."""
    for number in range(20):
        store.set(f"k{number % 7}", b"x" * (number % 6), TTL)
        sizes = [OVERHEAD + len(key) + len(value) for key, (_, value) in store.values.items()]
        assert store.statistics()["bytes"] == sum(sizes) <= store.max_bytes


def test_bytes_count_memory():
    """A thousand small values count as the memory that they take, so that many cannot exceed the limit."""
    store = MemoryStore(2**30)
    tracemalloc.start()
    for number in range(1000):
        store.set(f"key {number}", bytes(31), TTL)
    allocated = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.8 * allocated < store.bytes < 2 * allocated


def test_value_above_limit(store):
    """A value above the limit is not stored, and evicts nothing."""
    store.set("a", b"1", TTL)
    store.set("b", b"x" * 3 * SIZE, TTL)
    assert store.get_many(["a", "b"]) == [b"1", None]


def test_eviction(store):
    """A full store evicts the least recently read value."""
    for key in "abc":
        store.set(key, VALUE, TTL)
    store.get_many(["a"])
    store.set("d", VALUE, TTL)
    assert store.get_many(["a", "b", "c", "d"]) == [VALUE, None, VALUE, VALUE]


def test_invalidate(store):
    """A new tag version replaces the old one."""
    store.invalidate({"t": b"old"}, TTL)
    store.invalidate({"t": b"new"}, TTL)
    assert store.get_many(["t"]) == [b"new"]


def test_statistics(store):
    """The statistics have the kind of store and its size."""
    store.set("a", VALUE, TTL)
    assert store.statistics() == {"backend": "process", "keys": 1, "bytes": SIZE}
