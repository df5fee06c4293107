"""The cached view: a hit is what the miss was, only good answers are kept, and the answer says what was done."""

import random

import pytest
from flask import Response, abort, make_response

from app.cache.decorator import JITTER, cached
from app.cache.entry import Entry
from app.cache.tags import TAG_TTL
from app.http.conditional import json_response
from tests.support.cache_fakes import Clock, FlakyStore
from tests.support.cache_site import Site

RETURNED = {
    "dict": {"a": [1, None]},
    "list": [1, "é"],
    "text": "<p>é</p>",
    "bytes": b"\x00\xff\n",
    "empty": "",
    "tuple": ("body", 200, {"Content-Language": "en", "Link": '</b>; rel="next"'}),
    "json answer": json_response({"a": 1}, headers={"Cache-Control": "public, max-age=5"}),
    "encoded": Response(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
    "repeated headers": Response("x", headers=[("Link", "</a>"), ("Link", "</b>")]),
}


def without_status(response):
    """Return the headers, but what the cache says of itself."""
    return sorted(pair for pair in response.headers if pair[0] != "Cache-Status")


@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
def test_hit_is_what_the_miss_was(returned):
    """Whatever a view returns, a hit has the same bytes and the same headers as the miss."""
    site = Site(lambda: returned)
    miss, hit = site.get(), site.get()
    assert site.calls == 1
    assert (hit.status, hit.data, without_status(hit)) == (miss.status, miss.data, without_status(miss))


def test_etag_is_kept():
    """The entity tag of a hit is the computed one, and whoever has it gets 304 without the view."""
    site = Site(lambda: json_response({"a": 1}))
    etag = site.get().headers["ETag"]
    assert site.get().headers["ETag"] == etag
    again = site.get(headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"], site.calls) == (304, b"", etag, 1)


def test_cache_status():
    """Cache-Status (RFC 9211) tells a computed answer from a kept one, and how long that is fresh."""
    site = Site()
    assert site.get().headers["Cache-Status"] == "app; fwd=miss; stored"
    kind, seconds = site.get().headers["Cache-Status"].split("ttl=")
    assert kind == "app; hit; "
    assert 60 * (1 - JITTER) - 1 <= int(seconds) <= 60


def refusing():
    """Abort as a view does for what is not there."""
    abort(404)


NOT_KEPT = {
    "404": lambda: ("no", 404),
    "500": lambda: ("no", 500),
    "201": lambda: ("made", 201),
    "aborted": refusing,
    "no-store": lambda: Response("x", headers={"Cache-Control": "no-store"}),
    "private": lambda: Response("x", headers={"Cache-Control": "private, max-age=5"}),
    "vary": lambda: Response("x", headers={"Vary": "Accept-Language"}),
    "cookie": lambda: Response("x", headers={"Set-Cookie": "session=x"}),
}


@pytest.mark.parametrize("view", NOT_KEPT.values(), ids=NOT_KEPT)
def test_not_kept(view):
    """Only a 200 that may be shared is kept; after any other the lock is open for the next request."""
    site = Site(view)
    statuses = [site.get().status_code, site.get().status_code]
    assert statuses[0] == statuses[1]
    assert site.calls == 2
    assert site.stored() == []


def test_not_kept_says_so():
    """An answer that was not kept does not claim that it was stored."""
    assert Site(lambda: ("no", 404)).said() == "app; fwd=miss"


def test_failing_view_opens_the_lock():
    """A view that raises leaves no lock behind, so the next request computes at once."""
    site = Site(lambda: 1 / 0)
    assert site.get().status_code == 500
    assert site.stored(":lock") == []
    site.view = lambda: "mended"
    assert site.said() == "app; fwd=miss; stored"


def test_expired_is_computed_anew():
    """An expired answer is replaced, and the answer says that the old one was stale."""
    site = Site(ttl=0)
    assert site.get().text == "1"
    assert site.said() == "app; fwd=stale; stored"
    assert site.calls == 2


def test_stale_is_kept_as_long_as_it_is_of_use():
    """An answer leaves the store ttl and stale seconds after it was made, with its jitter."""
    clock = Clock()
    site = Site(store=FlakyStore(clock=clock), ttl=10, stale=5)
    site.get()
    (key,) = site.stored()
    assert clock.now + 14 <= site.store.values[key][0] <= clock.now + 15


def test_jitter():
    """Answers made together do not expire together: each lives for 90 to 100 % of its time."""
    random.seed(3)
    site = Site(ttl=1000)
    for number in range(200):
        site.get(f"/thing/{number}")
    ends = [Entry.unpack(site.store.values[key][1]).fresh_until for key in site.stored()]
    assert 80 < max(ends) - min(ends) < 101


def test_statistics():
    """Each outcome is counted once, and the totals are in what the store says of itself."""
    site = Site()
    for path in ("/thing", "/thing", "/thing", "/thing?x=1"):
        site.get(path)
    assert site.cache.statistics()["totals"] == {"miss": 1, "hit": 2, "bypass": 1}
    assert site.cache.statistics()["totals"] == {"miss": 1, "hit": 2, "bypass": 1}


def test_releases_do_not_share():
    """Another release, whose code makes other answers, has other keys in the same store."""
    site = Site()
    site.get()
    (key,) = site.stored()
    assert key.startswith("cache:release1:")


def test_no_answer_outlives_its_tags():
    """A time to live beyond the tags' own is refused when the view is declared."""
    with pytest.raises(ValueError, match="must be below 86400 s"):
        cached(ttl=TAG_TTL, stale=0)


def test_view_keeps_its_name():
    """The decorated view can still be routed by its name."""

    @cached(ttl=1)
    def show():
        """Show."""
        return make_response("")

    assert (show.__name__, show.__doc__) == ("show", "Show.")
