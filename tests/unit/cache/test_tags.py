"""Tags: after a write, no response computed before it is served, whatever happens concurrently."""

from app.cache.tags import ALL, tag_key
from tests.support.cache_app import CachedApp


def test_invalidate():
    """Invalidating a tag invalidates its responses at once, as stale ones, too."""
    cached_app = CachedApp()
    assert [cached_app.get().text, cached_app.get().text] == ["1", "1"]
    assert cached_app.cache.invalidate(["things"])
    assert cached_app.get().text == "2"


def test_other_tag():
    """Invalidating another tag leaves a response valid."""
    cached_app = CachedApp()
    cached_app.get()
    cached_app.cache.invalidate(["people"])
    assert cached_app.cache_status() == "app; hit; "


def test_several_tags():
    """Each of a response's tags invalidates it."""
    cached_app = CachedApp(tags=("things", "people"))
    for tag in ("things", "people"):
        cached_app.get()
        cached_app.cache.invalidate([tag])
        assert cached_app.cache_status() == "app; fwd=miss; stored"


def test_all():
    """The tag `*` invalidates every response, even one without tags."""
    cached_app = CachedApp(tags=())
    cached_app.get()
    cached_app.cache.invalidate([ALL])
    assert cached_app.cache_status() == "app; fwd=miss; stored"


def test_invalidate_during_computation():
    """A response whose computation began before a write is not served after it: it may have read the old rows."""
    cached_app = CachedApp()

    def view():
        if cached_app.calls == 1:
            cached_app.cache.invalidate(["things"])
        return str(cached_app.calls)

    cached_app.view = view
    assert [cached_app.get().text for _ in range(3)] == ["1", "2", "2"]


def test_evicted_version():
    """When the store evicts a tag version, entries made under it are invalid."""
    cached_app = CachedApp()
    cached_app.get()
    cached_app.store.delete(tag_key("things"))
    assert cached_app.get().text == "2"
    assert cached_app.cache_status() == "app; hit; "


def test_versions_are_unique():
    """No version is used twice, which would make an old entry valid again."""
    cached_app = CachedApp()
    versions = set()
    for _ in range(20):
        cached_app.cache.invalidate(["things"])
        versions.add(cached_app.store.get_many([tag_key("things")])[0])
    assert len(versions) == 20


def test_releases_share_tags():
    """The key of a tag version has no release: the writes of each release invalidate the entries of all."""
    assert tag_key("things") == "cache:tag:things"
