"""A cached view: a hit equals the miss, only shareable responses are stored, Cache-Status reports the outcome."""

import random

import pytest
from flask import Response, abort, make_response

from app.cache import cached
from app.cache.entry import Entry
from app.cache.response_cache import JITTER
from app.cache.tags import VERSION_TTL
from app.http.conditional import json_response
from tests.support.cache_app import CachedApp
from tests.support.cache_fakes import Clock, FlakyStore


def without_content_type():
    """Return a response without a Content-Type."""
    response = Response("x")
    del response.headers["Content-Type"]
    return response


RETURNED = {
    "dict": {"a": [1, None]},
    "list": [1, "é"],
    "text": "<p>é</p>",
    "bytes": b"\x00\xff\n",
    "empty": "",
    "tuple": ("body", 200, {"Content-Language": "en", "Link": '</b>; rel="next"'}),
    "json": json_response({"a": 1}, headers={"Cache-Control": "public, max-age=5"}),
    "encoded": Response(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
    "repeated headers": Response("x", headers=[("Link", "</a>"), ("Link", "</b>")]),
    "no content type": without_content_type(),
}


def headers_without_status(response):
    """Return the headers except Cache-Status."""
    return sorted(pair for pair in response.headers if pair[0] != "Cache-Status")


@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
def test_hit_equals_miss(returned):
    """Whatever a view returns, a hit has the same bytes and headers as the miss."""
    cached_app = CachedApp(lambda: returned)
    miss, hit = cached_app.get(), cached_app.get()
    assert cached_app.calls == 1
    assert (hit.status, hit.data) == (miss.status, miss.data)
    assert headers_without_status(hit) == headers_without_status(miss)


def test_etag():
    """A hit has the computed ETag, and If-None-Match gets 304 without a call of the view."""
    cached_app = CachedApp(lambda: json_response({"a": 1}))
    etag = cached_app.get().headers["ETag"]
    assert cached_app.get().headers["ETag"] == etag
    response = cached_app.get(headers={"If-None-Match": etag})
    assert (response.status_code, response.data, response.headers["ETag"], cached_app.calls) == (304, b"", etag, 1)


def test_cache_status():
    """Cache-Status (RFC 9211) distinguishes a miss from a hit, and has the remaining lifetime."""
    cached_app = CachedApp()
    assert cached_app.get().headers["Cache-Status"] == "app; fwd=miss; stored"
    outcome, seconds = cached_app.get().headers["Cache-Status"].split("ttl=")
    assert outcome == "app; hit; "
    assert 60 * (1 - JITTER) - 1 <= int(seconds) <= 60


NOT_CACHEABLE = {
    "404": lambda: ("no", 404),
    "500": lambda: ("no", 500),
    "201": lambda: ("created", 201),
    "aborted": lambda: abort(404),
    "no-store": lambda: Response("x", headers={"Cache-Control": "no-store"}),
    "private": lambda: Response("x", headers={"Cache-Control": "private, max-age=5"}),
    "vary": lambda: Response("x", headers={"Vary": "Accept-Language"}),
    "cookie": lambda: Response("x", headers={"Set-Cookie": "session=x"}),
}


@pytest.mark.parametrize("view", NOT_CACHEABLE.values(), ids=NOT_CACHEABLE)
def test_not_cacheable(view):
    """Only a 200 that may be shared is stored; any other response releases the lock."""
    cached_app = CachedApp(view)
    statuses = [cached_app.get().status_code, cached_app.get().status_code]
    assert statuses[0] == statuses[1]
    assert cached_app.calls == 2
    assert cached_app.stored_keys() == []


def test_cache_status_of_response_not_stored():
    """Cache-Status has no `stored` for a response that is not stored."""
    assert CachedApp(lambda: ("no", 404)).cache_status() == "app; fwd=miss"


def test_exception_releases_lock():
    """A view that raises releases the lock, so that the next request computes at once."""
    cached_app = CachedApp(lambda: 1 / 0)
    assert cached_app.get().status_code == 500
    assert cached_app.stored_keys(":lock") == []
    cached_app.view = lambda: "fixed"
    assert cached_app.cache_status() == "app; fwd=miss; stored"


def test_expired_entry_is_replaced():
    """A request for an expired entry computes and stores a new one, with fwd=stale."""
    cached_app = CachedApp(ttl=0)
    assert cached_app.get().text == "1"
    assert cached_app.cache_status() == "app; fwd=stale; stored"
    assert cached_app.calls == 2


def test_time_to_live_in_store():
    """An entry leaves the store after ttl plus stale seconds, less jitter."""
    clock = Clock()
    cached_app = CachedApp(store=FlakyStore(clock=clock), ttl=10, stale=5)
    cached_app.get()
    (key,) = cached_app.stored_keys()
    assert clock.now + 14 <= cached_app.store.values[key][0] <= clock.now + 15


def test_no_entry_is_served_beyond_stale():
    """An entry that a store holds for too long, as a copy may be, is a miss after ttl plus stale seconds."""
    cached_app = CachedApp(ttl=0, stale=0)
    cached_app.get()
    (key,) = cached_app.stored_keys()
    cached_app.store.values[key] = (cached_app.store.clock() + 60, cached_app.store.values[key][1])
    assert cached_app.cache_status() == "app; fwd=miss; stored"


def test_jitter():
    """Entries made together expire apart: each lives for 90 to 100 % of its TTL."""
    random.seed(3)
    cached_app = CachedApp(ttl=1000)
    for number in range(200):
        cached_app.get(f"/thing/{number}")
    expiries = [Entry.unpack(cached_app.store.values[key][1]).fresh_until for key in cached_app.stored_keys()]
    assert 80 < max(expiries) - min(expiries) < 101


def test_releases_have_separate_keys():
    """Each release has its own keys in a shared store."""
    cached_app = CachedApp()
    cached_app.get()
    (key,) = cached_app.stored_keys()
    assert key.startswith("cache:release1:")


def test_lifetime_is_below_tag_version():
    """`cached` refuses a lifetime beyond that of tag versions."""
    with pytest.raises(ValueError, match="must be below 86400 s"):
        cached(ttl=VERSION_TTL, stale=0)


def test_decorator_preserves_name():
    """A decorated view has the name and docstring of the view."""

    @cached(ttl=1)
    def show():
        """Show."""
        return make_response("")

    assert (show.__name__, show.__doc__) == ("show", "Show.")
