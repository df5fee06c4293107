"""An unavailable store: requests bypass it, and missed invalidations are sent later."""

import pytest

from tests.support.cache_app import CachedApp


@pytest.fixture
def cached_app():
    """An application with one cached response."""
    cached_app = CachedApp()
    cached_app.get()
    return cached_app


def test_bypass(cached_app):
    """The view responds, and Cache-Status has the reason."""
    cached_app.store.unavailable = True
    response = cached_app.get()
    assert (response.status_code, response.text) == (200, "2")
    assert response.headers["Cache-Status"] == "app; fwd=bypass; detail=unavailable"


def test_unavailable_during_computation(cached_app):
    """A store that fails during the computation costs the response nothing but `stored`."""
    cached_app.view = lambda: setattr(cached_app.store, "unavailable", True) or "computed"
    response = cached_app.get("/thing/other")
    assert (response.text, response.headers["Cache-Status"]) == ("computed", "app; fwd=miss")


def test_invalidate_reports_failure(cached_app):
    """`invalidate` returns False if the store is unavailable."""
    cached_app.store.unavailable = True
    assert cached_app.cache.invalidate(["things"]) is False


def test_pending_invalidation(cached_app):
    """A failed invalidation is sent before the store is next read."""
    cached_app.store.unavailable = True
    cached_app.cache.invalidate(["things"])
    cached_app.store.unavailable = False
    assert cached_app.get().text == "2"
    assert cached_app.cache_status() == "app; hit; "


def test_pending_invalidation_is_sent_once(cached_app):
    """A sent invalidation is no longer pending."""
    cached_app.store.unavailable = True
    cached_app.cache.invalidate(["things", "people"])
    cached_app.store.unavailable = False
    cached_app.get()
    assert cached_app.cache.tags.pending == {}


def test_lock_not_released(cached_app, logged):
    """A lock that cannot be released is logged, and the view's exception propagates."""
    log = logged()

    def fail():
        cached_app.store.unavailable = True
        raise RuntimeError

    cached_app.view = fail
    assert cached_app.get("/thing/other").status_code == 500
    assert "lock was not released" in " ".join(log.lines)
