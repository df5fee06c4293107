"""Concurrent requests: one computes, the others get the stale response or wait for the new one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.cache import response_cache
from tests.support.cache_app import CachedApp
from tests.support.cache_fakes import FlakyStore
from tests.support.helpers import wait_for

WAITERS = 5


class LockRecordingStore(FlakyStore):
    """Records the threads that found a lock taken."""

    def __init__(self):
        super().__init__()
        self.waiting = set()

    def add(self, key, value, ttl):
        """Add, and record the thread if the key is a lock that exists."""
        added = super().add(key, value, ttl)
        if not added and key.endswith(":lock"):
            self.waiting.add(threading.get_ident())
        return added


class BlockingView:
    """A view that blocks until it is released."""

    def __init__(self):
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self):
        """Block, then return."""
        self.entered.set()
        assert self.released.wait(10)
        return "new"


@pytest.fixture
def threads():
    """Threads for one request each."""
    with ThreadPoolExecutor(WAITERS + 1) as pool:
        yield pool


@pytest.fixture
def view():
    """A blocking view that is released at the latest when the test ends."""
    view = BlockingView()
    yield view
    view.released.set()


def test_missing_entry_is_computed_once(threads, view):
    """Requests that arrive during the first computation wait for its response; Cache-Status has `collapsed`."""
    cached_app = CachedApp(view, LockRecordingStore())
    first = threads.submit(cached_app.get)
    view.entered.wait(10)
    others = [threads.submit(cached_app.get) for _ in range(WAITERS)]
    wait_for(lambda: len(cached_app.store.waiting) == WAITERS, pause=0.005)
    view.released.set()
    assert {each.result(10).text for each in (first, *others)} == {"new"}
    assert cached_app.calls == 1
    assert all(each.result().headers["Cache-Status"].endswith("; collapsed") for each in others)


def test_stale_entry_is_served_meanwhile(threads, view, metric_value):
    """A request that arrives while an expired entry is replaced gets the stale response without waiting."""
    cached_app = CachedApp(lambda: "old", LockRecordingStore(), ttl=0)
    cached_app.get()
    cached_app.view = view
    first = threads.submit(cached_app.get)
    view.entered.wait(10)
    response = cached_app.get()
    assert response.text == "old"
    assert int(response.headers["Cache-Status"].removeprefix("app; hit; ttl=")) <= 0
    view.released.set()
    assert (first.result(10).text, cached_app.calls) == ("new", 2)
    outcomes = [metric_value("cache_requests_total", outcome=outcome) for outcome in ("miss", "stale", "refresh")]
    assert outcomes == [1, 1, 1]


def test_wait_is_bounded(threads, view, monkeypatch):
    """A request that has waited for MAX_WAIT computes its own response."""
    monkeypatch.setattr(response_cache, "MAX_WAIT", 0.0)
    cached_app = CachedApp(view, LockRecordingStore())
    first = threads.submit(cached_app.get)
    view.entered.wait(10)
    cached_app.view = lambda: "own"
    response = cached_app.get()
    assert (response.text, response.headers["Cache-Status"]) == ("own", "app; fwd=miss; detail=timeout")
    view.released.set()
    assert first.result(10).text == "new"


def test_locks_are_per_key(threads, view):
    """A request for another key does not wait."""
    cached_app = CachedApp(view)
    first = threads.submit(cached_app.get)
    view.entered.wait(10)
    cached_app.view = lambda: "other"
    assert cached_app.get("/thing/other").text == "other"
    view.released.set()
    assert first.result(10).text == "new"
