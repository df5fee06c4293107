"""`deploy` and `rollback`: a release on the idle colour, and users moved over to it."""

from __future__ import annotations

from dataclasses import dataclass

from ops.docker import nginx
from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import canary, colours, history, preflight, prune, static_files
from ops.release.colours import Release
from ops.release.history import digest
from ops.release.migrate import migrate
from ops.release.operation import Operation, exclusive, operation
from ops.server import Server, check


@dataclass(frozen=True)
class DeployRequest:
    """What a deploy was asked for."""

    image: str
    commit: str = ""
    allow_contract: bool = False
    ready_seconds: float = 60
    canary: canary.CanaryPolicy | None = None


def deploy(server: Server, request: DeployRequest) -> None:
    """Bring a release to users without one failed request, or leave them where they are."""
    with exclusive(server, f"deploy of {request.image}"):
        refuse_during_canary(server)
        found = find(server, request)
        colour = server.traffic.other
        echo(f"  {found.commit} goes to web-{colour}; web-{server.traffic.colour} serves")
        with operation(server, "deploy", found, colour, server.traffic.colour) as current:
            prepare(current, request, found)
            bring(current, found, request.ready_seconds)
            if request.canary:
                canary.split_and_watch(current, request.canary)
            cut_over(current, found)
        prune.prune(server)


def rollback(server: Server, image: str, ready_seconds: float) -> None:
    """Bring back a release that served before: a deploy of what is already here."""
    with exclusive(server, "rollback"):
        refuse_during_canary(server)
        found = colours.find(server, image_to_go_back_to(server, image))
        colour = server.traffic.other
        echo(f"  back to {found.commit}, on web-{colour}")
        with operation(server, "rollback", found, colour, server.traffic.colour) as current:
            bring(current, found, ready_seconds)
            cut_over(current, found)


def find(server: Server, request: DeployRequest) -> Release:
    """Return the release that was fetched; it must be the commit that was asked for."""
    if server.runner.dry:
        return Release(request.image, request.commit or "the release", colours.bundle_of(server, request.image))
    found = colours.find(server, request.image)
    if request.commit and found.commit != request.commit:
        raise PreconditionError(
            f"The image is of release {found.commit}, not {request.commit}. Build it anew, with that RELEASE."
        )
    return found


def prepare(current: Operation, request: DeployRequest, found: Release) -> None:
    """Look at the server, then bring the schema forward; the release that serves goes on serving."""
    with current.step("check") as step:
        notes = preflight.check(current.server), check.check(current.server, found)
        step.note = "; ".join(note for note in notes if note)
    with current.step("migrate") as step:
        step.note = migrate(current, found, allow_contract=request.allow_contract)


def bring(current: Operation, found: Release, ready_seconds: float) -> None:
    """Lay out the static files, start the colour and look at it from every side; users do not meet it yet."""
    colour = current.state.colour
    with current.step("static") as step:
        step.note = static_files.install(current.server, found)
    with current.step("start"):
        colours.start(current.server, found, colour)
    with current.step("ready"):
        colours.await_ready(current.server, found, colour, ready_seconds)
    with current.step("smoke"):
        colours.smoke(current.server, found, colour)


def cut_over(current: Operation, found: Release) -> None:
    """Let users meet the colour, see that they do, then let the other one end."""
    server = current.server
    with current.step("switch"):
        colours.switch(server, found, current.state.colour)
    with current.step("verify"):
        colours.verify(server, found)
    with current.step("record") as step:
        current.record("ok")
        served = f"users are with {found.commit}, {current.seconds:.1f} s after the begin"
        step.note = "; ".join(note for note in (served, preflight.install(server, found)) if note)
    with current.step("drain"):
        nginx.drain(server)
    with current.step("stop"):
        colours.stop(server, current.state.before)


def refuse_during_canary(server: Server) -> None:
    """Raise PreconditionError while some users are with a canary."""
    if server.traffic.percent:
        raise PreconditionError(
            "A canary has a share of the users. First: python3 -m ops promote, or: python3 -m ops abort"
        )


def image_to_go_back_to(server: Server, image: str) -> str:
    """Return the image of the release before the one that serves, or the one that was asked for."""
    earlier = {digest(entry["image"]): entry for entry in history.releases(history.entries(server.history_file))[:-1]}
    if not earlier:
        raise PreconditionError("There is no earlier release to go back to.")
    if image and digest(image) not in earlier:
        names = "\n  ".join(entry["image"] for entry in earlier.values())
        raise PreconditionError(f"{image} is none of the earlier releases:\n  {names}")
    entry = earlier[digest(image) if image else list(earlier)[-1]]
    refuse_past_contract(server, entry)
    wanted = str(entry["image"])
    if not colours.bundle_of(server, wanted).is_dir():
        raise OpsError(f"The bundle of {wanted} is no longer here. Deploy it anew: python3 -m ops deploy {wanted}")
    return wanted


def refuse_past_contract(server: Server, entry: history.Entry) -> None:
    """Raise PreconditionError when the schema has lost since what a release of the history needs."""
    steps = history.contracts_after(history.entries(server.history_file), entry["image"])
    if steps:
        raise PreconditionError(
            f"Since {entry['release']} the schema went through contract steps ({', '.join(steps)}): it would fail "
            "on it. Deploy a release that mends the fault instead."
        )
