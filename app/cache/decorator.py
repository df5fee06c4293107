"""`@cached` on a view: see docs/make-it-yours.md for an example."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from app.cache import tags as cache_tags
from app.cache.policy import Policy
from app.cache.response_cache import current_cache
from app.cache.tags import VERSION_TTL
from app.http.conditional import evaluate_if_none_match

View = Callable[..., Any]


def cached(
    *, ttl: float, stale: float = 60.0, tags: Sequence[str] = (), public: bool = False
) -> Callable[[View], View]:
    """Cache a view's responses for TTL seconds, and serve them stale for STALE more while one request recomputes.

    The key is made from the view's arguments, so decorate inside the decorator that validates the query: `?limit=20`
    and a default of 20 then share an entry. A query that nothing validates bypasses the cache.

    A committed write to a model with one of TAGS invalidates the response. PUBLIC declares that it is the same for
    every client; otherwise requests with credentials bypass the cache. If-None-Match is answered from the cache too.
    """
    if ttl + stale >= VERSION_TTL:
        raise ValueError(f"ttl + stale must be below {VERSION_TTL:.0f} s, the lifetime of a tag version")
    policy = Policy(ttl, stale, tuple(tags), public)
    cache_tags.declared.update(tags)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def respond(*validated: Any, **path: Any) -> Response:
            compute = functools.partial(view, *validated, **path)
            return evaluate_if_none_match(current_cache().respond(policy, policy.key(validated, path), compute))

        return respond

    return decorate
