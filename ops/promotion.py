"""`canary`, `promote` and `abort`: a deploy that waits in the middle for a person's word."""

from __future__ import annotations

from ops import canary as canaries
from ops import deploy as deploying
from ops import history, prune, release
from ops.deploy import Wish
from ops.errors import Refusal
from ops.operation import exclusive, operation
from ops.progress import say
from ops.release import Release
from ops.serving import Serving
from ops.site import Site


def canary(site: Site, wish: Wish, watch: canaries.Watch) -> None:
    """Give a release its share of the users, watch it for a while, and leave it there."""
    with exclusive(site, f"canary of {wish.image}"):
        deploying.refuse_during_canary(site)
        found = deploying.find(site, wish)
        with operation(site, "canary", found, site.serving.other, site.serving.colour) as current:
            deploying.prepare(current, wish, found)
            deploying.bring(current, found, wish.ready_seconds)
            canaries.split_and_watch(current, watch)
            current.record("ok", percent=watch.percent)
        say(f"  {watch.percent} % of the requests go to {found.commit}. Next: python3 -m ops promote, or: abort")


def promote(site: Site, ready_seconds: float) -> None:
    """Give the canary all users."""
    with exclusive(site, "promote"):
        serving, found = under_way(site)
        with operation(site, "promote", found, serving.other, serving.colour) as current:
            with current.step("ready"):
                release.await_ready(site, found, serving.other, ready_seconds)
            with current.step("smoke"):
                release.smoke(site, found, serving.other)
            deploying.take_over(current, found)
        prune.prune(site)


def abort(site: Site) -> None:
    """Take the canary's users back."""
    with exclusive(site, "abort"):
        serving, found = under_way(site)
        with operation(site, "abort", found, serving.colour, serving.colour) as current:
            with current.step("abort"):
                release.put_back(site, serving.colour)
            current.record("ok")


def under_way(site: Site) -> tuple[Serving, Release]:
    """Return how users are shared, and the canary's release; raises Refusal when there is no canary."""
    serving = site.serving
    started = [entry for entry in history.entries(site.history_file) if entry["command"] == "canary"]
    if not serving.percent or not started:
        raise Refusal("No canary has a share of the users. Begin one: python3 -m ops canary IMAGE --percent 10")
    return serving, release.find(site, started[-1]["image"])
