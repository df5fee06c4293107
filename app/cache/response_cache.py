"""The flow of a cached request: serve a stored response, or compute it once while others wait or get a stale one.

The store holds final bytes with their headers, so a hit serialises nothing. A request locks an expired key before it
computes. If the store is unavailable, requests bypass it.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, current_app

from app.cache.entry import Entry
from app.cache.policy import Policy, is_cacheable
from app.cache.stores.base import Store, StoreUnavailableError
from app.cache.tags import TagVersions
from app.http.errors import UNAVAILABLE
from app.observability import metrics

LOCK_TTL = 10.0
MAX_WAIT = 3.0  # seconds that a request waits for another request's computation
POLL_INTERVAL = 0.01
JITTER = 0.1  # entries computed together must not expire together

log = logging.getLogger(__name__)

Compute = Callable[[], Any]


class ResponseCache:
    """Serves responses from a store, or computes and stores them."""

    def __init__(self, store: Store, namespace: str) -> None:
        self.store = store
        self.prefix = f"cache:{namespace}:"
        self.tags = TagVersions(store)

    def respond(self, policy: Policy, key: str | None, compute: Compute) -> Response:
        """Return the response for KEY, or the computed one if KEY is None or the store is unavailable."""
        if key is None:
            return record_outcome(_measured(compute), "bypass", "fwd=bypass")
        try:
            return self._get_or_compute(policy, self.prefix + key, compute)
        except StoreUnavailableError:
            return record_outcome(_measured(compute), "bypass", "fwd=bypass; detail=unavailable")

    def _get_or_compute(self, policy: Policy, key: str, compute: Compute) -> Response:
        entry, _ = self._lookup(policy, key)
        if entry and not entry.should_refresh(time.time()):
            return _serve(entry, "hit")
        deadline = time.monotonic() + MAX_WAIT
        interval, parameters = POLL_INTERVAL, ""
        while not self.store.add(f"{key}:lock", b"1", LOCK_TTL):
            if entry:
                return _serve(entry, "stale")
            if time.monotonic() >= deadline:
                return record_outcome(_measured(compute), "miss", "fwd=miss; detail=timeout")
            time.sleep(interval)
            interval, parameters = min(interval * 1.5, 0.1), "; collapsed"
            entry, _ = self._lookup(policy, key, consistent=True)
            if entry and not entry.should_refresh(time.time()):
                return _serve(entry, "hit", parameters)
        latest, versions = self._lookup(policy, key, consistent=True)
        if latest and latest != entry:  # stored between the lookup and the lock
            self._unlock(key)
            return _serve(latest, "hit", parameters)
        return self._compute_locked(policy, key, versions, compute, latest)

    def _lookup(self, policy: Policy, key: str, *, consistent: bool = False) -> tuple[Entry | None, list[str]]:
        """Return the entry, if it is valid, and the current tag versions."""
        self.tags.send_pending()
        keys = [key, *policy.tag_keys]
        packed, *found = self.store.get_many(keys, consistent=consistent)
        if None in found:
            self.tags.create_missing(policy.tag_keys)
            packed, *found = self.store.get_many(keys, consistent=True)
        versions = [(version or b"").decode() for version in found]
        entry = Entry.unpack(packed) if packed else None
        if entry and (entry.versions != versions or time.time() >= entry.fresh_until + policy.stale):
            entry = None
        return entry, versions

    def _compute_locked(
        self, policy: Policy, key: str, versions: list[str], compute: Compute, stale: Entry | None
    ) -> Response:
        """Compute and store the response; if a backend is unavailable, serve the stale entry."""
        started = time.monotonic()
        try:
            response = _measured(compute)
            cost = time.monotonic() - started
            stored = cost < LOCK_TTL and is_cacheable(response) and self._set(policy, key, versions, response, cost)
        except UNAVAILABLE as error:
            if stale is None:
                raise
            log.warning("serving a stale response: %s", type(error).__name__)
            return _serve(stale, "stale")
        finally:
            if time.monotonic() - started < LOCK_TTL:  # later the lock belongs to another request
                self._unlock(key)
        outcome, reason = ("refresh", "stale") if stale else ("miss", "miss")
        return record_outcome(response, outcome, f"fwd={reason}; stored" if stored else f"fwd={reason}")

    def _set(self, policy: Policy, key: str, versions: list[str], response: Response, cost: float) -> bool:
        ttl = policy.ttl * (1 - JITTER * random.random())  # noqa: S311 - no secret
        headers = [[name, value] for name, value in response.headers if name != "Content-Length"]
        entry = Entry(response.get_data(), headers, versions, time.time() + ttl, cost)
        try:
            self.store.set(key, entry.pack(), ttl + policy.stale)
        except StoreUnavailableError:
            return False
        return True

    def _unlock(self, key: str) -> None:
        try:
            self.store.delete(f"{key}:lock")
        except StoreUnavailableError:
            log.warning("a cache lock was not released; it expires within %d s", LOCK_TTL)

    def invalidate(self, tags: Sequence[str]) -> bool:
        """Invalidate every entry with one of TAGS; return whether the store has accepted it."""
        return self.tags.invalidate(tags)


def current_cache() -> ResponseCache:
    """Return the cache of the current application."""
    cache: ResponseCache = current_app.extensions["cache"]
    return cache


def record_outcome(response: Response, outcome: str, status: str) -> Response:
    """Count the outcome and add it to the response as Cache-Status (RFC 9211)."""
    response.headers["Cache-Status"] = f"app; {status}"
    metrics.increment("cache_requests_total", outcome=outcome)
    return response


def _serve(entry: Entry, outcome: str, parameters: str = "") -> Response:
    ttl = entry.fresh_until - time.time()
    return record_outcome(entry.to_response(), outcome, f"hit; ttl={ttl:.0f}{parameters}")


def _measured(compute: Compute) -> Response:
    started = time.perf_counter()
    try:
        return current_app.make_response(compute())
    finally:
        metrics.observe("cache_compute_duration_seconds", time.perf_counter() - started)
