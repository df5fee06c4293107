"""The cache of whole answers: `@cached(ttl=…, tags=…)` on a view, emptied by tag when a write is committed.

What is kept are the final bytes with their headers and ETag, so a hit serialises nothing. An expired key is
computed once in all processes, under a lock; meanwhile the others get the stale answer or, where there is none, wait.
A tag is a random word that changes with each write; an entry is good only while the words it was made
under still stand, so nothing has to be searched for and deleted. A store that is away is gone around.
"""

import functools
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, current_app
from marshmallow import Schema

from app.cache import tags as cache_tags
from app.cache.entry import Entry
from app.cache.policy import Policy, namespace
from app.cache.stores.memory import MemoryStore
from app.cache.stores.redis import RedisStore, Store, UnavailableError
from app.cache.tags import EVERYTHING, TAG_TTL, Tags, tag_key
from app.http.conditional import evaluate_if_none_match
from app.http.errors import UNAVAILABLE
from app.observability import metrics, probes, tracing

LOCK_TTL = 10.0
WAIT = 3.0  # seconds a request waits for another's computation before it computes for itself
POLL = 0.01
JITTER = 0.1  # entries made together must not expire together
PERSONAL_HEADERS = {"Set-Cookie", "Vary"}  # an answer with one of them is not the same for every request with its key

log = logging.getLogger(__name__)

View = Callable[..., Any]


class Cache:
    """The flow of a cached answer over one store."""

    def __init__(self, store: Store, namespace: str) -> None:
        self.store = store
        self.prefix = f"cache:{namespace}:"
        self.counts: Counter[str] = Counter()
        self.flushed = time.monotonic()
        self.tags = Tags(store)
        self.lock = threading.Lock()

    def answer(self, policy: Policy, view: View, arguments: Mapping[str, Any]) -> Response:
        """Return the view's answer, from the store where that is possible."""
        compute = functools.partial(_compute, view, arguments)
        key = policy.key(arguments)
        if key is None:
            return self._said(compute(), "bypass", "fwd=bypass")
        try:
            return self._from_store(policy, self.prefix + key, compute)
        except UnavailableError:
            return self._said(compute(), "bypass", "fwd=bypass; detail=unavailable")

    def _from_store(self, policy: Policy, key: str, compute: Callable[[], Response]) -> Response:
        deadline = time.monotonic() + WAIT
        wait = POLL
        collapsed = ""
        while True:
            entry, words = self._look(policy, key)
            now = time.time()
            if entry and not entry.due(now):
                return self._said(entry.response(), "hit", f"hit; ttl={entry.fresh_until - now:.0f}{collapsed}")
            if self.store.add(f"{key}:lock", b"1", LOCK_TTL):
                latest, words = self._look(policy, key)  # who held the lock may have stored one since the last look
                if latest and latest != entry:
                    self._unlock(key)
                    return self._said(latest.response(), "hit", f"hit; ttl={latest.fresh_until - now:.0f}{collapsed}")
                return self._computed(policy, key, words, compute, entry)
            if entry:
                return self._said(entry.response(), "stale", f"hit; ttl={entry.fresh_until - now:.0f}")
            if time.monotonic() >= deadline:
                return self._said(compute(), "miss", "fwd=miss; detail=timeout")
            time.sleep(wait)
            wait, collapsed = min(wait * 1.5, 0.1), "; collapsed"

    def _look(self, policy: Policy, key: str) -> tuple[Entry | None, list[str]]:
        """Return the entry if its tags still stand, and the words of the tags now, if they had to be read."""
        self.tags.send()
        tags = [tag_key(tag) for tag in (EVERYTHING, *policy.tags)]
        near, seen = self.store.recall(key, tags)
        if near and not near.due(time.time()):
            return near, near.words
        packed, *found = self.store.read([key, *tags])
        if None in found:
            self.tags.begin(tags)
            packed, *found = self.store.read([key, *tags])
        words = [(word or b"").decode() for word in found]
        entry = Entry.unpack(packed) if packed else None
        if entry and entry.words != words:
            entry = None
        self.store.remember(key, entry, tags, words, seen)
        return entry, words

    def _computed(
        self, policy: Policy, key: str, words: list[str], compute: Callable[[], Response], old: Entry | None
    ) -> Response:
        """Compute under the lock and keep the answer, if it is one to keep; a backend away leaves the old one good."""
        began = time.monotonic()
        stored = False
        try:
            response = compute()
            cost = time.monotonic() - began
            if _keepable(response) and cost < LOCK_TTL:
                stored = self._keep(policy, key, words, response, cost)
        except UNAVAILABLE as error:
            if old is None:
                raise
            log.warning("a stale answer instead of none: %s", type(error).__name__)
            return self._said(old.response(), "stale", f"hit; ttl={old.fresh_until - time.time():.0f}")
        finally:
            if not stored and time.monotonic() - began < LOCK_TTL:  # later it is another's lock
                self._unlock(key)
        outcome, reason = ("refresh", "stale") if old else ("miss", "miss")
        return self._said(response, outcome, f"fwd={reason}; stored" if stored else f"fwd={reason}")

    def _keep(self, policy: Policy, key: str, words: list[str], response: Response, cost: float) -> bool:
        fresh = policy.ttl * (1 - JITTER * random.random())  # noqa: S311 - no secret
        headers = [[name, value] for name, value in response.headers if name != "Content-Length"]
        entry = Entry(response.get_data(), headers, words, time.time() + fresh, cost)
        try:
            self.store.write(key, entry.pack(), fresh + policy.stale, unlock=f"{key}:lock")
        except UnavailableError:
            return False
        return True

    def _unlock(self, key: str) -> None:
        try:
            self.store.remove(f"{key}:lock")
        except UnavailableError:
            log.warning("a cache lock could not be released; it ends by itself within %d s", LOCK_TTL)

    def forget(self, tags: Sequence[str]) -> bool:
        """Make every entry with one of TAGS invalid, for all processes; return whether it is done (see Tags.forget)."""
        return self.tags.forget(tags)

    def statistics(self) -> dict[str, Any]:
        """Return what all processes counted, to about a second ago, and the state of the store."""
        self.flush()
        return self.store.describe()

    def flush(self) -> None:
        """Add this process's counts to the shared totals."""
        with self.lock:
            counts, self.counts, self.flushed = self.counts, Counter(), time.monotonic()
        if counts:
            self.store.count(counts)

    def _said(self, response: Response, outcome: str, status: str) -> Response:
        """Count the outcome and say it in the answer (RFC 9211)."""
        response.headers["Cache-Status"] = f"app; {status}"
        metrics.count("cache_requests_total", outcome=outcome)
        with self.lock:
            self.counts[outcome] += 1
        if outcome != "bypass" and time.monotonic() - self.flushed > 1:  # one that is away is not waited for twice
            try:
                self.flush()
            except UnavailableError:
                log.debug("cache statistics lost: the store is away")
        return response


def cached(
    *,
    ttl: float,
    stale: float = 60.0,
    tags: Sequence[str] = (),
    query: type[Schema] | None = None,
    public: bool = False,
) -> Callable[[View], View]:
    """Keep a view's answers for TTL seconds, and STALE seconds more while a new one is computed, or cannot be.

    TAGS name what the answer is made from: a committed write to a model with one of them ends it at once. QUERY is the
    schema of the parameters that change the answer; a request with any other goes to the view. PUBLIC says that the
    answer is the same whoever asks; without it a request with credentials goes to the view. A client that names the
    answer's ETag in If-None-Match gets 304, from the cache like any other answer.
    """
    if ttl + stale >= TAG_TTL:
        raise ValueError(f"ttl + stale must be below {TAG_TTL:.0f} s, the life of a tag")
    parameters = frozenset(field.data_key or name for name, field in query().fields.items()) if query else frozenset()
    policy = Policy(ttl, stale, tuple(tags), parameters, public)
    cache_tags.known.update(tags)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(**arguments: Any) -> Response:
            return evaluate_if_none_match(current().answer(policy, view, arguments))

        return answer

    return decorate


def init_app(app: Flask) -> None:
    """Choose the store, and watch it with a probe; without it the application only loses speed."""
    url = app.config["REDIS_URL"]
    store: Store = RedisStore(url, app.config["REDIS_TIMEOUT"]) if url else MemoryStore(app.config["CACHE_MAX_BYTES"])
    cache = Cache(store, namespace())
    app.extensions["cache"] = cache
    if isinstance(store, RedisStore):
        tracing.instrument_redis(app, store.client)
        probes.register(app, "redis", store.ping, essential=False)


def current() -> Cache:
    """Return the cache of the running application."""
    cache: Cache = current_app.extensions["cache"]
    return cache


def _compute(view: View, arguments: Mapping[str, Any]) -> Response:
    began = time.perf_counter()
    try:
        return current_app.make_response(view(**arguments))
    finally:
        metrics.observe("cache_compute_duration_seconds", time.perf_counter() - began)


def _keepable(response: Response) -> bool:
    control = response.cache_control
    personal = control.private or control.no_store or any(name in response.headers for name in PERSONAL_HEADERS)
    return response.status_code == 200 and not personal
