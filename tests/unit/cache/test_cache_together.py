"""Many requests at once: one computes, the others have the old answer or wait for the new one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.cache import decorator as cache
from tests.support.cache_fakes import FlakyStore
from tests.support.cache_site import Site
from tests.support.helpers import wait_for

WAITERS = 5


class CountingStore(FlakyStore):
    """Knows which threads found a lock taken."""

    def __init__(self):
        super().__init__()
        self.refused = set()

    def add(self, key, value, ttl):
        """Add as ever, and note in whose way the lock was."""
        added = super().add(key, value, ttl)
        if not added and key.endswith(":lock"):
            self.refused.add(threading.get_ident())
        return added


class Gate:
    """A view that stays inside until it is let go."""

    def __init__(self):
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self):
        """Say that it computes, and wait."""
        self.entered.set()
        assert self.go.wait(10)
        return "new"


@pytest.fixture
def threads():
    """Threads for one request each."""
    with ThreadPoolExecutor(WAITERS + 1) as pool:
        yield pool


@pytest.fixture
def gate():
    """A gate that opens at the latest when the test ends."""
    gate = Gate()
    yield gate
    gate.go.set()


def test_cold_key_is_computed_once(threads, gate):
    """Who asks while a first answer is computed waits for it, and says so."""
    site = Site(gate, CountingStore())
    first = threads.submit(site.get)
    gate.entered.wait(10)
    others = [threads.submit(site.get) for _ in range(WAITERS)]
    wait_for(lambda: len(site.store.refused) == WAITERS, pause=0.005)
    gate.go.set()
    assert {each.result(10).text for each in (first, *others)} == {"new"}
    assert site.calls == 1
    assert all(each.result().headers["Cache-Status"].endswith("; collapsed") for each in others)


def test_expired_is_served_while_one_computes(threads, gate):
    """Who asks while an expired answer is replaced gets the old one without waiting, and says that it is stale."""
    site = Site(lambda: "old", CountingStore(), ttl=0)
    site.get()
    site.view = gate
    first = threads.submit(site.get)
    gate.entered.wait(10)
    answer = site.get()
    assert answer.text == "old"
    assert int(answer.headers["Cache-Status"].removeprefix("app; hit; ttl=")) <= 0
    gate.go.set()
    assert (first.result(10).text, site.calls) == ("new", 2)
    assert site.cache.statistics()["totals"] == {"miss": 1, "stale": 1, "refresh": 1}


def test_waiting_has_an_end(threads, gate, monkeypatch):
    """Who has waited long enough computes for itself."""
    monkeypatch.setattr(cache, "WAIT", 0.0)
    site = Site(gate, CountingStore())
    first = threads.submit(site.get)
    gate.entered.wait(10)
    site.view = lambda: "own"
    answer = site.get()
    assert (answer.text, answer.headers["Cache-Status"]) == ("own", "app; fwd=miss; detail=timeout")
    gate.go.set()
    assert first.result(10).text == "new"


def test_other_keys_do_not_wait(threads, gate):
    """A lock is one key's own."""
    site = Site(gate)
    first = threads.submit(site.get)
    gate.entered.wait(10)
    site.view = lambda: "other"
    assert site.get("/thing/other").text == "other"
    gate.go.set()
    assert first.result(10).text == "new"
