"""A stored answer: its bytes, its headers, and what it takes for it to be still good."""

import json
import math
import random
from dataclasses import dataclass

from flask import Response


@dataclass(frozen=True)
class Entry:
    """An answer with status 200. WORDS are those of its tags when it was made; times are seconds since 1970."""

    body: bytes
    headers: list[list[str]]
    words: list[str]
    fresh_until: float
    cost: float

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory: of a small answer, most are Python's own."""
        return len(self.body) + sum(len(name) + len(value) + 100 for name, value in self.headers) + 1000

    def pack(self) -> bytes:
        """Return the entry as bytes: a line of JSON, then the body untouched."""
        head = [self.headers, self.words, self.fresh_until, self.cost]
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> "Entry":
        """Read what `pack` wrote."""
        head, _, body = packed.partition(b"\n")
        return cls(body, *json.loads(head))

    def due(self, now: float) -> bool:
        """Whether it should be computed anew: expired, or by chance a little before, more likely the dearer it was.

        The chance is that of Vattani et al., Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).
        """
        return now - self.cost * math.log(1.0 - random.random()) >= self.fresh_until  # noqa: S311 - no secret

    def response(self) -> Response:
        """Return the answer as it was."""
        response = Response(self.body)
        response.headers.clear()
        response.headers.extend((name, value) for name, value in self.headers)
        response.headers["Content-Length"] = str(len(self.body))
        return response
