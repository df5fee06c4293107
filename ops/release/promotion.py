"""`canary`, `promote` and `abort`: a deploy that waits in the middle for a person's word."""

from __future__ import annotations

from ops.errors import PreconditionError
from ops.progress import echo
from ops.release import canary as canaries
from ops.release import colours, history, prune
from ops.release import deploy as deploying
from ops.release.colours import Release
from ops.release.deploy import DeployRequest
from ops.release.operation import exclusive, operation
from ops.release.traffic import Traffic
from ops.server import Server


def canary(server: Server, request: DeployRequest, watch: canaries.CanaryPolicy) -> None:
    """Give a release its share of the users, watch it for a while, and leave it there."""
    with exclusive(server, f"canary of {request.image}"):
        deploying.refuse_during_canary(server)
        found = deploying.find(server, request)
        with operation(server, "canary", found, server.traffic.other, server.traffic.colour) as current:
            deploying.prepare(current, request, found)
            deploying.bring(current, found, request.ready_seconds)
            canaries.split_and_watch(current, watch)
            current.record("ok", percent=watch.percent)
        echo(f"  {watch.percent} % of the requests go to {found.commit}. Next: python3 -m ops promote, or: abort")


def promote(server: Server, ready_seconds: float) -> None:
    """Give the canary all users."""
    with exclusive(server, "promote"):
        traffic, found = under_way(server)
        with operation(server, "promote", found, traffic.other, traffic.colour) as current:
            with current.step("ready"):
                colours.await_ready(server, found, traffic.other, ready_seconds)
            with current.step("smoke"):
                colours.smoke(server, found, traffic.other)
            deploying.cut_over(current, found)
        prune.prune(server)


def abort(server: Server) -> None:
    """Take the canary's users back."""
    with exclusive(server, "abort"):
        traffic, found = under_way(server)
        with operation(server, "abort", found, traffic.colour, traffic.colour) as current:
            with current.step("abort"):
                colours.revert_traffic(server, traffic.colour)
            current.record("ok")


def under_way(server: Server) -> tuple[Traffic, Release]:
    """Return how users are shared, and the canary's release; raises PreconditionError when there is no canary."""
    traffic = server.traffic
    started = [entry for entry in history.entries(server.history_file) if entry["command"] == "canary"]
    if not traffic.percent or not started:
        raise PreconditionError(
            "No canary has a share of the users. Begin one: python3 -m ops canary IMAGE --percent 10"
        )
    return traffic, colours.find(server, started[-1]["image"])
