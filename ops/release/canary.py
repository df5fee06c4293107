"""A canary: some of the users meet a release first, and it must not fail them more often than the other one does."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ops.docker import nginx
from ops.docker.compose import service
from ops.errors import OpsError
from ops.progress import echo
from ops.release.operation import Operation
from ops.release.traffic import Traffic
from ops.server import Server

LOOK_SECONDS = 2.0
ENOUGH = 20  # requests, before a share of errors means anything while there is time to see more


@dataclass(frozen=True)
class CanaryPolicy:
    """The share of the users, in percent, how long, and the errors allowed beyond the other colour's, in percent."""

    percent: int
    seconds: float
    budget: float


@dataclass(frozen=True)
class Count:
    """Requests that a colour answered, and how many of them with a 5xx."""

    requests: int = 0
    errors: int = 0

    @property
    def share(self) -> float:
        """Errors in percent."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        """Return it in argv."""
        return f"{self.errors} errors in {self.requests} requests ({self.share:.1f} %)"


def split_and_watch(current: Operation, watch: CanaryPolicy) -> None:
    """Give the new colour its share of the users and watch it; raises OpsError when it spends its error budget."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with current.step("canary") as step:
        split(current, watch.percent)
        step.note = observe(current.server, current.state.colour, watch, since)


def split(current: Operation, percent: int) -> None:
    """Give the new colour its share of the users."""
    nginx.route(current.server, Traffic(current.state.before, percent))


def observe(server: Server, colour: str, watch: CanaryPolicy, since: str) -> str:
    """Look at what both colours answer until the time is over; return what was seen."""
    if server.runner.dry:
        return ""
    end = time.monotonic() + watch.seconds
    other = service(Traffic(colour).other)
    over = False
    while not over:
        time.sleep(min(LOOK_SECONDS, max(0.0, end - time.monotonic())))
        over = time.monotonic() >= end
        counts = count(server.runner.query(server.compose.nginx_log(since)).splitlines())
        seen = counts.get(service(colour), Count())
        judge(seen, counts.get(other, Count()), watch.budget, enough=1 if over else ENOUGH)
    if not seen.requests:
        echo("  no request met the canary, so nothing can be said about it")
    return str(seen)


def count(lines: Iterable[str]) -> dict[str, Count]:
    """Count requests and 5xx by the service that nginx had chosen, from its log; what nginx answered alone is none."""
    requests: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in lines:
        entry = _entry(line)
        if entry:
            requests[entry["upstream"]] += 1
            errors[entry["upstream"]] += _failed(entry)
    return {name: Count(requests[name], errors[name]) for name in requests}


def judge(canary: Count, other: Count, budget: float, enough: int) -> None:
    """Raise OpsError when the canary fails more often than the other colour by more than the budget."""
    if canary.requests >= enough and canary.share - other.share > budget:
        raise OpsError(f"the canary spent its error budget of {budget:g} %: {canary}; the other colour: {other}")


def _failed(entry: dict[str, Any]) -> bool:
    """Whether the colour failed; its user may all the same have got what nginx had kept from before."""
    last = str(entry.get("upstream_status", "")).rpartition(",")[2].strip()
    return bool(entry["status"] >= 500 or (last.isdecimal() and int(last) >= 500))


def _entry(line: str) -> dict[str, Any] | None:
    """Read an access log's line about a request that a colour was asked; None for any other line, or half of one."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    known = isinstance(entry, dict) and isinstance(entry.get("status"), int) and "upstream" in entry
    asked = known and entry.get("upstream_s") not in {"", "-", None}  # else nginx answered by itself, as a redirect
    return entry if asked else None
