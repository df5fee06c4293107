"""The step that gives the new release a share of the traffic and compares its errors with the other colour's."""

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
from ops.release.deployment import CanaryPolicy, Deployment
from ops.release.state import Traffic
from ops.server import Server

INTERVAL_SECONDS = 2.0
MIN_REQUESTS = 20  # before an error rate counts, while there is time for more


@dataclass(frozen=True)
class Count:
    """The requests that a colour received, and its 5xx responses."""

    requests: int = 0
    errors: int = 0

    @property
    def error_rate(self) -> float:
        """Errors in percent."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        """Return the counts and the rate."""
        return f"{self.errors} errors in {self.requests} requests ({self.error_rate:.1f} %)"


def run(deployment: Deployment) -> str:
    """Split the traffic and observe it; raises OpsError when the canary exceeds its error budget."""
    server, policy, journal = deployment.server, deployment.request.canary, deployment.journal
    if policy is None:
        raise ValueError("The canary step needs a policy.")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    nginx.route(server, Traffic(journal.previous_colour, policy.percent))
    observed = server.runner.call(
        f"observe {policy.percent} % of the traffic for {policy.seconds:g} s",
        observe,
        server,
        journal.colour,
        policy,
        since,
    )
    return f"{policy.percent} % of the traffic is on {deployment.release.commit}: {observed}"


def observe(server: Server, colour: str, policy: CanaryPolicy, since: str) -> str:
    """Compare both colours until the time is over; return the canary's counts."""
    end = time.monotonic() + policy.seconds
    other = service(Traffic(colour).other)
    is_over = False
    while not is_over:
        time.sleep(min(INTERVAL_SECONDS, max(0.0, end - time.monotonic())))
        is_over = time.monotonic() >= end
        counts = count(server.runner.query(server.compose.nginx_log(since)).splitlines())
        canary = counts.get(service(colour), Count())
        judge(canary, counts.get(other, Count()), policy.budget, min_requests=1 if is_over else MIN_REQUESTS)
    if not canary.requests:
        echo("  the canary received no request, so its error rate is unknown")
    return str(canary)


def count(lines: Iterable[str]) -> dict[str, Count]:
    """Count requests and 5xx by upstream, from nginx's access log; responses of nginx itself do not count."""
    requests: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in lines:
        entry = _entry(line)
        if entry:
            requests[entry["upstream"]] += 1
            errors[entry["upstream"]] += _is_error(entry)
    return {name: Count(requests[name], errors[name]) for name in requests}


def judge(canary: Count, other: Count, budget: float, min_requests: int) -> None:
    """Raise OpsError when the canary's error rate exceeds the other colour's by more than the budget."""
    if canary.requests >= min_requests and canary.error_rate - other.error_rate > budget:
        raise OpsError(f"the canary exceeded its error budget of {budget:g} %: {canary}; the other colour: {other}")


def _is_error(entry: dict[str, Any]) -> bool:
    """Whether the upstream failed; the client may still have received a cached response."""
    last = str(entry.get("upstream_status", "")).rpartition(",")[2].strip()
    return bool(entry["status"] >= 500 or (last.isdecimal() and int(last) >= 500))


def _entry(line: str) -> dict[str, Any] | None:
    """Parse the access log line of a proxied request; None for any other or truncated line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    known = isinstance(entry, dict) and isinstance(entry.get("status"), int) and "upstream" in entry
    proxied = known and entry.get("upstream_s") not in {"", "-", None}  # otherwise nginx responded itself
    return entry if proxied else None
