"""A stale response is served while the database is unavailable."""

import pytest
from werkzeug.exceptions import NotFound

from app.db.session import DatabaseUnavailableError
from tests.support.cache_app import CachedApp


@pytest.fixture
def cached_app():
    """An application whose cached response is stale."""
    cached_app = CachedApp(ttl=1e-9)
    cached_app.get()
    return cached_app


def failing(error):
    """Return a view that raises ERROR."""

    def view():
        raise error

    return view


def test_database_unavailable(cached_app):
    """The stale response is served, with a negative ttl in Cache-Status."""
    cached_app.view = failing(DatabaseUnavailableError("refused"))
    response = cached_app.get()
    assert (response.status_code, response.text) == (200, "1")
    assert response.headers["Cache-Status"].startswith("app; hit; ttl=-")
    assert not cached_app.stored_keys(":lock")


def test_no_stale_entry(cached_app):
    """Without a stale entry the error propagates."""
    cached_app.app.testing = True
    cached_app.view = failing(DatabaseUnavailableError("refused"))
    with pytest.raises(DatabaseUnavailableError):
        cached_app.get("/thing/other")


def test_other_errors(cached_app):
    """Any other error, such as 404, replaces the stale response."""
    cached_app.view = failing(NotFound())
    assert cached_app.get().status_code == 404
