"""The commands that change the active release: deploy, canary, promote, abort, rollback."""

from __future__ import annotations

from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import bundle, history, pipeline, prune
from ops.release.bundle import Release
from ops.release.deployment import Deployment, DeployRequest
from ops.release.history import digest
from ops.release.pipeline import exclusive
from ops.server import Server


def deploy(server: Server, request: DeployRequest) -> None:
    """Move all traffic to a fetched release without a failed request, or leave it where it is."""
    with exclusive(server, f"deploy of {request.image}"):
        pipeline.require_preconditions(server, "deploy")
        _run(server, "deploy", request, requested_release(server, request))
        prune.prune(server)


def canary(server: Server, request: DeployRequest) -> None:
    """Send a fetched release its share of the traffic, observe it, and keep the share."""
    with exclusive(server, f"canary of {request.image}"):
        pipeline.require_preconditions(server, "canary")
        _run(server, "canary", request, requested_release(server, request))
        echo("  Next: python3 -m ops promote, or: python3 -m ops abort")


def promote(server: Server, ready_seconds: float) -> None:
    """Move all traffic to the canary."""
    with exclusive(server, "promote"):
        release = canary_release(server)
        _run(server, "promote", DeployRequest(release.image, ready_seconds=ready_seconds), release)
        prune.prune(server)


def abort(server: Server) -> None:
    """Take the canary's traffic back."""
    with exclusive(server, "abort"):
        release = canary_release(server)
        _run(server, "abort", DeployRequest(release.image), release)


def rollback(server: Server, image: str, ready_seconds: float) -> None:
    """Move all traffic back to a release that was active before and is still on the server."""
    with exclusive(server, "rollback"):
        pipeline.require_preconditions(server, "rollback")
        release = bundle.find(server, rollback_image(server, image))
        _run(server, "rollback", DeployRequest(release.image, ready_seconds=ready_seconds), release)


def _run(server: Server, command: str, request: DeployRequest, release: Release) -> None:
    deployment = Deployment.new(server, command, request, release)
    echo(f"  {command} {release.commit} on web-{deployment.journal.colour}; web-{server.traffic.colour} is active")
    pipeline.run(deployment)


def requested_release(server: Server, request: DeployRequest) -> Release:
    """Return the fetched release; raises PreconditionError if it is of another commit than requested."""
    found = bundle.find(server, request.image, request.commit or "the release")
    if request.commit and found.commit != request.commit:
        raise PreconditionError(
            f"The image is of release {found.commit}, not {request.commit}. Rebuild it with that RELEASE."
        )
    return found


def canary_release(server: Server) -> Release:
    """Return the release of the canary; raises PreconditionError if there is none."""
    started = [entry for entry in history.entries(server.history_file) if entry["command"] == "canary"]
    if not server.traffic.percent or not started:
        raise PreconditionError("There is no canary. Start one: python3 -m ops canary IMAGE --percent 10")
    return bundle.find(server, started[-1]["image"])


def rollback_image(server: Server, image: str) -> str:
    """Return the requested image, or the one active before; raises PreconditionError if it cannot run any more."""
    earlier = {digest(entry["image"]): entry for entry in history.releases(history.entries(server.history_file))[:-1]}
    if not earlier:
        raise PreconditionError("There is no earlier release.")
    if image and digest(image) not in earlier:
        names = "\n  ".join(entry["image"] for entry in earlier.values())
        raise PreconditionError(f"{image} is none of the earlier releases:\n  {names}")
    entry = earlier[digest(image) if image else list(earlier)[-1]]
    require_no_contract_since(server, entry)
    if not bundle.bundle_of(server, entry["image"]).is_dir():
        raise OpsError(f"The bundle of {entry['image']} was pruned. Deploy it: python3 -m ops deploy {entry['image']}")
    return str(entry["image"])


def require_no_contract_since(server: Server, entry: history.Entry) -> None:
    """Raise PreconditionError if contract steps since a release removed what it may use."""
    steps = history.contracts_after(history.entries(server.history_file), entry["image"])
    if steps:
        raise PreconditionError(
            f"Contract steps were applied after {entry['release']}: {', '.join(steps)}. It would fail on this schema. "
            "Deploy a release that fixes the fault instead."
        )
