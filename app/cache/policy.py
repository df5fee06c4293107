"""How a view is cached: its lifetimes and tags, its keys, and which requests and responses are excluded."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Response, request

from app.cache.tags import ALL, tag_key

UNSHARED_HEADERS = {"Set-Cookie", "Vary"}  # the response is not the same for every request with its key

_canonical = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=repr).encode


@dataclass(frozen=True)
class Policy:
    """The caching rules of one view; times are seconds."""

    ttl: float
    stale: float
    tags: tuple[str, ...]
    public: bool

    @functools.cached_property
    def tag_keys(self) -> list[str]:
        """The store's keys of the tag versions that an entry depends on."""
        return [tag_key(tag) for tag in (ALL, *self.tags)]

    def key(self, validated: Sequence[Any], path: Mapping[str, Any]) -> str | None:
        """Return the key of the current request, or None if it must bypass the cache.

        VALIDATED are the parameters that a schema has loaded, PATH those of the URL rule.
        """
        if not self.public and ("Authorization" in request.headers or "Cookie" in request.headers):
            return None
        if not validated and request.query_string:
            return None
        return make_key(request.endpoint or "", validated, path)


def make_key(endpoint: str, validated: Sequence[Any], path: Mapping[str, Any]) -> str:
    """Return the key of a request, the same in every process."""
    return hashlib.sha256(_canonical([endpoint, validated, path]).encode()).hexdigest()


def is_cacheable(response: Response) -> bool:
    """Whether the response is a 200 that other clients may receive."""
    control = response.cache_control
    private = control.private or control.no_store or any(name in response.headers for name in UNSHARED_HEADERS)
    return response.status_code == 200 and not private


@functools.cache
def namespace() -> str:
    """Return a digest of the application's code.

    Two releases that run side by side never share representations. A release that changes only other files
    (documentation, migrations, nginx) keeps the warm cache.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
