"""A cached response: its bytes and headers, and until when it is valid."""

import functools
import json
import math
import random
from typing import NamedTuple

from flask import Response


class Entry(NamedTuple):
    """A response with status 200 and the tag versions it was computed under; times are seconds since the epoch."""

    body: bytes
    headers: list[list[str]]
    versions: list[str]
    fresh_until: float
    cost: float

    def pack(self) -> bytes:
        """Return the entry as bytes: a line of JSON, then the body."""
        head = [self.headers, self.versions, self.fresh_until, self.cost]
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> "Entry":
        """Return the entry that `pack` serialised."""
        head, _, body = packed.partition(b"\n")
        return cls(body, *_parse(head))

    def should_refresh(self, now: float) -> bool:
        """Whether the entry has expired or, at random, is about to: the costlier it was, the earlier.

        XFetch, from Vattani et al., Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).
        """
        return now - self.cost * math.log(1.0 - random.random()) >= self.fresh_until  # noqa: S311 - no secret

    def to_response(self) -> Response:
        """Return the response that was stored."""
        response = Response(
            self.body, headers=((name, value) for name, value in self.headers)
        )  # adds Content-Length, and a type if there is none
        if not any(name == "Content-Type" for name, _ in self.headers):
            del response.headers["Content-Type"]
        return response


@functools.lru_cache(maxsize=256)  # every hit of an entry needs the same one
def _parse(head: bytes) -> tuple[list[list[str]], list[str], float, float]:
    headers, versions, fresh_until, cost = json.loads(head)
    return headers, versions, fresh_until, cost
