"""The store inside the process: bounded, forgetting by the clock, and by use when it is full."""

import pytest

from app.cache.stores.memory import MemoryStore
from tests.support.cache_fakes import Clock

TTL = 60.0


@pytest.fixture
def clock():
    """A time that the test moves."""
    return Clock()


@pytest.fixture
def store(clock):
    """A store for ten bytes."""
    return MemoryStore(10, clock)


def put(store, key, value):
    """Write a value that lives for a minute."""
    store.write(key, value, TTL, unlock="no lock")


def test_read(store):
    """What was written is read; what was not is None, in the order asked."""
    put(store, "a", b"1")
    put(store, "b", b"2")
    assert store.read(["b", "none", "a"]) == [b"2", None, b"1"]


def test_expiry(store, clock):
    """A value ends with its time to live, not before."""
    put(store, "a", b"1")
    clock.now += TTL - 0.1
    assert store.read(["a"]) == [b"1"]
    clock.now += 0.1
    assert store.read(["a"]) == [None]
    assert store.describe()["bytes"] == 0


def test_add_is_once(store, clock):
    """Only the first adds, until its key has expired: that is what makes it a lock."""
    assert [store.add("lock", b"1", 5), store.add("lock", b"2", 5)] == [True, False]
    assert store.read(["lock"]) == [b"1"]
    clock.now += 5
    assert store.add("lock", b"3", 5)


def test_write_unlocks(store):
    """A written value opens the lock under which it was made."""
    store.add("a:lock", b"1", TTL)
    store.write("a", b"value", TTL, unlock="a:lock")
    assert store.read(["a", "a:lock"]) == [b"value", None]


def test_remove(store):
    """A removed key is gone, and one that is not there may be removed."""
    put(store, "a", b"1")
    store.remove("a")
    store.remove("a")
    assert store.read(["a"]) == [None]


def test_bytes_are_bounded(store):
    """The values never take more than their limit together; an overwritten one counts once."""
    for number in range(20):
        put(store, f"k{number % 7}", b"x" * (number % 6))
        assert store.describe()["bytes"] == sum(len(value) for _, value in store.values.values()) <= 10


def test_too_large_alone(store):
    """A value above the limit is not kept, and drives nothing else out."""
    put(store, "a", b"1")
    put(store, "b", b"x" * 11)
    assert store.read(["a", "b"]) == [b"1", None]


def test_least_recently_used_goes_first(store):
    """When it is full, what was not read for longest makes room."""
    for key in "abc":
        put(store, key, b"123")
    store.read(["a"])
    put(store, "d", b"123")
    assert store.read(["a", "b", "c", "d"]) == [b"123", None, b"123", b"123"]


def test_change(store):
    """A tag's new word takes the old one's place."""
    store.change({"t": b"old"}, TTL)
    store.change({"t": b"new"}, TTL)
    assert store.read(["t"]) == [b"new"]


def test_describe(store):
    """It says what kind of store it is, what it holds, and what was counted, in sum."""
    put(store, "a", b"123")
    store.count({"hit": 2})
    store.count({"hit": 1, "miss": 1})
    assert store.describe() == {"backend": "process", "totals": {"hit": 3, "miss": 1}, "keys": 1, "bytes": 3}
