"""The copies that a process keeps of what it read from Redis: never older than the last message before the request."""

import tracemalloc

import pytest
import redis

from app.cache.entry import Entry
from app.cache.stores.local import NearCache
from tests.support.cache_fakes import FakeRedis

TAGS = ["everything", "products"]
WORDS = ["w1", "w2"]


def entry(size=10, words=WORDS):
    """Return an entry whose body has SIZE bytes."""
    return Entry(b"x" * size, [], words, 1e12, 0.0)


@pytest.fixture
def server():
    """A server that keeps what it publishes for its subscribers."""
    return FakeRedis()


@pytest.fixture
def near(server):
    """The copies, at most five thousand bytes of them."""
    return NearCache(server, max_bytes=5000)


def keep(near, key="k", kept=None):
    """Look, find nothing, and keep what Redis would have answered."""
    _, seen = near.look(key, TAGS)
    near.keep(key, kept or entry(), TAGS, WORDS, seen)


def kept(near, key="k"):
    """Return the copy that a request gets."""
    return near.look(key, TAGS)[0]


def test_keeps(near):
    """What was read once is answered without asking again."""
    assert kept(near) is None
    keep(near)
    assert kept(near) == entry()


def test_published_before_a_look_is_seen(near, server):
    """A change that was published before the request came ends the copy."""
    keep(near)
    server.publish("products")
    assert kept(near) is None


def test_other_tags_stay(near, server):
    """A change of another tag leaves the copy, and one message may name several."""
    keep(near)
    server.publish("customers orders")
    assert kept(near) == entry()
    server.publish("customers products")
    assert kept(near) is None


def test_read_before_a_change_arrived(near, server):
    """What was read from Redis before a change is not kept after it: the word may be the old one."""
    _, seen = near.look("k", TAGS)
    server.publish("products")
    near.look("another", TAGS)
    near.keep("k", entry(), TAGS, WORDS, seen)
    assert kept(near) is None


def test_another_word(near):
    """A copy made under other words than those that stand is no answer."""
    keep(near, "new")
    keep(near, "old", entry(words=["w1", "w0"]))
    assert kept(near, "old") is None


def test_words_without_an_entry(near):
    """A miss teaches the words all the same, and keeps no copy."""
    _, seen = near.look("k", TAGS)
    near.keep("k", None, TAGS, WORDS, seen)
    assert near.words == dict(zip(TAGS, WORDS, strict=True))
    assert kept(near) is None


def test_lost_subscription(near, server):
    """Whoever lost the connection may have missed a change, so all is forgotten; the next request begins anew."""
    keep(near)
    lost = near.subscription
    server.cut()
    with pytest.raises(redis.ConnectionError):
        near.look("k", TAGS)
    assert lost.closed
    assert kept(near) is None
    keep(near)
    assert kept(near) == entry()


def test_read_before_the_connection_was_lost(near, server):
    """What was read over a connection that is lost meanwhile is not kept by the next one."""
    _, seen = near.look("k", TAGS)
    server.cut()
    with pytest.raises(redis.ConnectionError):
        near.look("k", TAGS)
    near.look("another", TAGS)
    near.keep("k", entry(), TAGS, WORDS, seen)
    assert kept(near) is None


def test_nothing_without_a_subscription(near, server):
    """While nobody would tell it of changes, nothing is kept."""
    server.reachable = False
    with pytest.raises(redis.ConnectionError):
        near.look("k", TAGS)
    near.keep("k", entry(), TAGS, WORDS, near.changes)
    assert not near.entries


def test_bytes_are_bounded(near):
    """The copies never take more than their limit; the least recently used makes room."""
    for key in "abcd":
        keep(near, key, entry(200))
    kept(near, "a")
    keep(near, "e", entry(200))
    assert list(near.entries) == ["c", "d", "a", "e"]
    assert near.bytes == 4 * entry(200).size <= near.max_bytes


def test_counts_what_it_takes(near):
    """A thousand small copies are counted as what they take in memory, so that no flood of them can pass the limit."""
    near.max_bytes = 2**30
    tracemalloc.start()
    for number in range(1000):
        keep(near, f"key {number}", Entry.unpack(entry(31).pack()))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert near.bytes > 0.8 * taken


def test_too_large_alone(near):
    """An answer above the limit is not kept, and drives nothing else out."""
    keep(near, "a", entry(10))
    keep(near, "b", entry(5000))
    assert list(near.entries) == ["a"]


def test_replaced_counts_once(near):
    """A copy that takes another's place takes its bytes too."""
    for size in (50, 60, 40):
        keep(near, "k", entry(size))
    assert near.bytes == entry(40).size


def test_silent_subscription_must_answer(near):
    """After a second of silence the subscription is asked whether it lives; while it does, the copies stay."""
    keep(near)
    near.heard -= 2
    assert kept(near) == entry()
    assert near.subscription.asked == 1


def test_dead_subscription_is_found_out(near, server):
    """A subscription that lost its connection without a word is no longer believed."""
    keep(near)
    server.silent = True
    near.heard -= 2
    with pytest.raises(redis.TimeoutError):
        near.look("k", TAGS)
    assert not near.entries


def test_nobody_waits_behind_a_wait(near):
    """While one thread waits for Redis, the others go on without the copies, and keep nothing."""
    keep(near)
    with near.lock:
        found, seen = near.look("k", TAGS)
    near.keep("other", entry(), TAGS, WORDS, seen)
    assert (found, list(near.entries)) == (None, ["k"])
