"""The copies that a process keeps of what it read from Redis: never older than the last message before the request."""

import pytest
import redis

from app.cache_entry import Entry
from app.near_cache import NearCache
from tests.unit.cache_fakes import FakeRedis

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
    """The copies, at most a hundred bytes of them."""
    return NearCache(server, max_bytes=100)


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
    """The bodies never take more than their limit; the least recently used makes room."""
    for key in "abc":
        keep(near, key, entry(33))
    kept(near, "a")
    keep(near, "d", entry(33))
    assert list(near.entries) == ["c", "a", "d"]
    assert near.bytes == sum(len(each.body) for each in near.entries.values()) == 99


def test_too_large_alone(near):
    """A body above the limit is not kept, and drives nothing else out."""
    keep(near, "a", entry(10))
    keep(near, "b", entry(101))
    assert list(near.entries) == ["a"]


def test_replaced_counts_once(near):
    """A copy that takes another's place takes its bytes too."""
    for size in (50, 60, 40):
        keep(near, "k", entry(size))
    assert near.bytes == 40
