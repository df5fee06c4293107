"""`deploy` and `rollback`: a release on the idle colour, and users moved over to it."""

from __future__ import annotations

from dataclasses import dataclass

from ops import canary, check, edge, history, production, prune, release, static
from ops.errors import Failure, Refusal
from ops.history import digest
from ops.migrate import migrate
from ops.operation import Operation, exclusive, operation
from ops.progress import say
from ops.release import Release
from ops.site import Site


@dataclass(frozen=True)
class Wish:
    """What a deploy was asked for."""

    image: str
    commit: str = ""
    allow_contract: bool = False
    ready_seconds: float = 60
    canary: canary.Watch | None = None


def deploy(site: Site, wish: Wish) -> None:
    """Bring a release to users without one failed request, or leave them where they are."""
    with exclusive(site, f"deploy of {wish.image}"):
        refuse_during_canary(site)
        found = find(site, wish)
        colour = site.serving.other
        say(f"  {found.commit} goes to web-{colour}; web-{site.serving.colour} serves")
        with operation(site, "deploy", found, colour, site.serving.colour) as current:
            prepare(current, wish, found)
            bring(current, found, wish.ready_seconds)
            if wish.canary:
                canary.split_and_watch(current, wish.canary)
            take_over(current, found)
        prune.prune(site)


def rollback(site: Site, image: str, ready_seconds: float) -> None:
    """Bring back a release that served before: a deploy of what is already here."""
    with exclusive(site, "rollback"):
        refuse_during_canary(site)
        found = release.find(site, image_to_go_back_to(site, image))
        colour = site.serving.other
        say(f"  back to {found.commit}, on web-{colour}")
        with operation(site, "rollback", found, colour, site.serving.colour) as current:
            bring(current, found, ready_seconds)
            take_over(current, found)


def find(site: Site, wish: Wish) -> Release:
    """Return the release that was fetched; it must be the commit that was asked for."""
    if site.runner.dry:
        return Release(wish.image, wish.commit or "the release", release.bundle_of(site, wish.image))
    found = release.find(site, wish.image)
    if wish.commit and found.commit != wish.commit:
        raise Refusal(f"The image is of release {found.commit}, not {wish.commit}. Build it anew, with that RELEASE.")
    return found


def prepare(current: Operation, wish: Wish, found: Release) -> None:
    """Look at the server, then bring the schema forward; the release that serves goes on serving."""
    with current.step("check") as step:
        notes = check.check(current.site), production.check(current.site, found)
        step.note = "; ".join(note for note in notes if note)
    with current.step("migrate") as step:
        step.note = migrate(current, found, allow_contract=wish.allow_contract)


def bring(current: Operation, found: Release, ready_seconds: float) -> None:
    """Lay out the static files, start the colour and look at it from every side; users do not meet it yet."""
    colour = current.state.colour
    with current.step("static") as step:
        step.note = static.install(current.site, found)
    with current.step("start"):
        release.start(current.site, found, colour)
    with current.step("ready"):
        release.await_ready(current.site, found, colour, ready_seconds)
    with current.step("smoke"):
        release.smoke(current.site, found, colour)


def take_over(current: Operation, found: Release) -> None:
    """Let users meet the colour, see that they do, then let the other one end."""
    site = current.site
    with current.step("switch"):
        release.switch(site, found, current.state.colour)
    with current.step("verify"):
        release.verify(site, found)
    with current.step("record") as step:
        current.record("ok")
        served = f"users are with {found.commit}, {current.seconds:.1f} s after the begin"
        step.note = "; ".join(note for note in (served, check.install(site, found)) if note)
    with current.step("drain"):
        edge.drain(site)
    with current.step("stop"):
        release.stop(site, current.state.before)


def refuse_during_canary(site: Site) -> None:
    """Raise Refusal while some users are with a canary."""
    if site.serving.percent:
        raise Refusal("A canary has a share of the users. First: python3 -m ops promote, or: python3 -m ops abort")


def image_to_go_back_to(site: Site, image: str) -> str:
    """Return the image of the release before the one that serves, or the one that was asked for."""
    earlier = {digest(entry["image"]): entry for entry in history.releases(history.entries(site.history_file))[:-1]}
    if not earlier:
        raise Refusal("There is no earlier release to go back to.")
    if image and digest(image) not in earlier:
        names = "\n  ".join(entry["image"] for entry in earlier.values())
        raise Refusal(f"{image} is none of the earlier releases:\n  {names}")
    entry = earlier[digest(image) if image else list(earlier)[-1]]
    refuse_past_contract(site, entry)
    wanted = str(entry["image"])
    if not release.bundle_of(site, wanted).is_dir():
        raise Failure(f"The bundle of {wanted} is no longer here. Deploy it anew: python3 -m ops deploy {wanted}")
    return wanted


def refuse_past_contract(site: Site, entry: history.Entry) -> None:
    """Raise Refusal when the schema has lost since what a release of the history needs."""
    steps = history.contracts_after(history.entries(site.history_file), entry["image"])
    if steps:
        raise Refusal(
            f"Since {entry['release']} the schema went through contract steps ({', '.join(steps)}): it would fail "
            "on it. Deploy a release that mends the fault instead."
        )
