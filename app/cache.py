"""The cache of whole answers: `@cached(ttl=…, tags=…)` on a view, emptied by tag when a write is committed.

What is kept are the final bytes with their headers and ETag, so a hit serialises nothing. An expired key is
computed once in all processes, under a lock; meanwhile the others get the stale answer or, where there is none, wait.
A tag is a random word that changes with each write; an entry is good only while the words it was made
under still stand, so nothing has to be searched for and deleted. A store that is away is gone around.
"""

import functools
import hashlib
import json
import logging
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from marshmallow import Schema

from app import probes
from app.cache_entry import Entry
from app.cache_stores import MemoryStore, RedisStore, Store, UnavailableError

EVERYTHING = "*"  # the tag that every entry has
TAG_TTL = 86_400.0
LOCK_TTL = 10.0
WAIT = 3.0  # seconds a request waits for another's computation before it computes for itself
POLL = 0.01
JITTER = 0.1  # entries made together must not expire together
KEPT_HEADERS = ("Content-Type", "ETag", "Cache-Control", "Link")

log = logging.getLogger(__name__)

View = Callable[..., Any]


@dataclass(frozen=True)
class Policy:
    """How one view is cached; times are seconds."""

    ttl: float
    stale: float
    tags: tuple[str, ...]
    parameters: frozenset[str]
    public: bool

    def key(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the key of the current request, or None if its answer must not come from the cache.

        A request that says who is asking is answered for that person, unless the view is the same for all.
        """
        if not self.public and ("Authorization" in request.headers or "Cookie" in request.headers):
            return None
        query = sorted(request.args.items(multi=True)) if request.query_string else []
        if any(name not in self.parameters for name, _ in query):
            return None
        return key_of(request.endpoint or "", arguments, query)


class Cache:
    """The flow of a cached answer over one store."""

    def __init__(self, store: Store, namespace: str) -> None:
        self.store = store
        self.prefix = f"cache:{namespace}:"
        self.counts: Counter[str] = Counter()
        self.flushed = time.monotonic()
        self.unsent: dict[str, bytes] = {}
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
                return self._computed(policy, key, words, compute, "refresh" if entry else "miss")
            if entry:
                return self._said(entry.response(), "stale", f"hit; ttl={entry.fresh_until - now:.0f}")
            if time.monotonic() >= deadline:
                return self._said(compute(), "miss", "fwd=miss; detail=timeout")
            time.sleep(wait)
            wait, collapsed = min(wait * 1.5, 0.1), "; collapsed"

    def _look(self, policy: Policy, key: str) -> tuple[Entry | None, list[str]]:
        """Return the entry if its tags still stand, and the words of the tags now, if they had to be read."""
        self._send_unsent()
        tags = [tag_key(tag) for tag in (EVERYTHING, *policy.tags)]
        near, seen = self.store.recall(key, tags)
        if near and not near.due(time.time()):
            return near, near.words
        packed, *found = self.store.read([key, *tags])
        if None in found:
            for tag in tags:
                self.store.add(tag, _word(), TAG_TTL)
            packed, *found = self.store.read([key, *tags])
        words = [(word or b"").decode() for word in found]
        entry = Entry.unpack(packed) if packed else None
        if entry and entry.words != words:
            entry = None
        self.store.remember(key, entry, tags, words, seen)
        return entry, words

    def _computed(
        self, policy: Policy, key: str, words: list[str], compute: Callable[[], Response], outcome: str
    ) -> Response:
        """Compute under the lock and keep the answer, if it is one to keep."""
        began = time.monotonic()
        stored = False
        try:
            response = compute()
            cost = time.monotonic() - began
            if _keepable(response) and cost < LOCK_TTL:
                stored = self._keep(policy, key, words, response, cost)
        finally:
            if not stored:
                self._unlock(key)
        reason = "stale" if outcome == "refresh" else "miss"
        return self._said(response, outcome, f"fwd={reason}; stored" if stored else f"fwd={reason}")

    def _keep(self, policy: Policy, key: str, words: list[str], response: Response, cost: float) -> bool:
        fresh = policy.ttl * (1 - JITTER * random.random())  # noqa: S311 - no secret
        headers = [[name, response.headers[name]] for name in KEPT_HEADERS if name in response.headers]
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
        """Make every entry with one of TAGS invalid, for all processes; return whether it is done.

        What cannot be sent now is sent before this process reads the store again; until then the other processes'
        entries end with their TTL.
        """
        with self.lock:
            self.unsent.update((tag, _word()) for tag in tags)
        try:
            self._send_unsent()
        except UnavailableError:
            log.warning("the cache is away; tags %s will be forgotten when it is back", sorted(tags))
            return False
        return True

    def _send_unsent(self) -> None:
        if not self.unsent:
            return
        with self.lock:
            sent = dict(self.unsent)
        self.store.change({tag_key(tag): word for tag, word in sent.items()}, TAG_TTL)
        with self.lock:  # a tag forgotten again meanwhile has another word, and stays
            self.unsent = {tag: word for tag, word in self.unsent.items() if sent.get(tag) != word}

    def statistics(self) -> dict[str, Any]:
        """Return what all processes counted, and the state of the store."""
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
        self.counts[outcome] += 1
        if time.monotonic() - self.flushed > 1:
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
    """Keep a view's answers for TTL seconds, and STALE seconds more while a new one is computed.

    TAGS name what the answer is made from: a committed write to a model with one of them ends it at once. QUERY is the
    schema of the parameters that change the answer; a request with any other goes to the view. PUBLIC says that the
    answer is the same whoever asks; without it a request with credentials goes to the view.
    """
    if ttl + stale >= TAG_TTL:
        raise ValueError(f"ttl + stale must be below {TAG_TTL:.0f} s, the life of a tag")
    known = frozenset(field.data_key or name for name, field in query().fields.items()) if query else frozenset()
    policy = Policy(ttl, stale, tuple(tags), known, public)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(**arguments: Any) -> Response:
            return current().answer(policy, view, arguments)

        return answer

    return decorate


def init_app(app: Flask) -> None:
    """Choose the store, and watch it with a probe; without it the application only loses speed."""
    url = app.config["REDIS_URL"]
    store: Store = RedisStore(url, app.config["REDIS_TIMEOUT"]) if url else MemoryStore(app.config["CACHE_MAX_BYTES"])
    cache = Cache(store, namespace())
    app.extensions["cache"] = cache
    if url:
        probes.register(app, "redis", store.ping, essential=False)


def current() -> Cache:
    """Return the cache of the running application."""
    cache: Cache = current_app.extensions["cache"]
    return cache


def key_of(endpoint: str, arguments: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> str:
    """Return the same key in every process for the same question."""
    canonical = json.dumps([endpoint, sorted(arguments.items()), query], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def tag_key(tag: str) -> str:
    """Return where a tag's word is kept; all releases share it, so that each one's writes reach the others' entries."""
    return f"cache:tag:{tag}"


@functools.cache
def namespace() -> str:
    """Return a name that changes with the code that makes the answers.

    Two releases side by side then never serve each other's representation, and one that changed only elsewhere
    (documents, migrations, the edge) keeps the warm cache.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _compute(view: View, arguments: Mapping[str, Any]) -> Response:
    return current_app.make_response(view(**arguments))


def _keepable(response: Response) -> bool:
    control = response.cache_control
    return response.status_code == 200 and not (control.private or control.no_store or "Set-Cookie" in response.headers)


def _word() -> bytes:
    return secrets.token_hex(8).encode()
