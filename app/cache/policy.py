"""How a view is cached: for how long, under which key, and which requests must not be answered from the cache."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import request


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


def key_of(endpoint: str, arguments: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> str:
    """Return the same key in every process for the same question."""
    canonical = json.dumps([endpoint, sorted(arguments.items()), query], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@functools.cache
def namespace() -> str:
    """Return a name that changes with the code that makes the answers.

    Two releases side by side then never serve each other's representation, and one that changed only elsewhere
    (documents, migrations, the edge) keeps the warm cache.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
