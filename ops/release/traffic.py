"""Steps that test, move and take back the traffic."""

from __future__ import annotations

from ops import files
from ops.docker import nginx
from ops.docker.compose import service
from ops.errors import PreconditionError
from ops.progress import echo, wait_for_consecutive
from ops.release import bundle, colours
from ops.release.bundle import Release
from ops.release.deployment import Deployment
from ops.release.state import INTERNAL_URLS, Traffic
from ops.server import Server

OUTSIDE_SECONDS = 15
NGINX_SECONDS = 15  # nginx resolves names every two seconds


def require_no_canary(server: Server) -> None:
    """Raise PreconditionError while a canary has a share of the traffic."""
    if server.traffic.percent:
        raise PreconditionError(
            "A canary has a share of the traffic. First: python3 -m ops promote, or: python3 -m ops abort"
        )


def smoke(deployment: Deployment) -> str:
    """Request the idle colour through nginx: each container by version, then each smoke path."""
    server, colour = deployment.server, deployment.journal.colour
    server.runner.call(f"smoke test {service(colour)}", _smoke, server, deployment.release, colour)
    return ""


def _smoke(server: Server, release: Release, colour: str) -> None:
    url = INTERNAL_URLS[colour]

    def probe() -> tuple[bool, str]:
        return (response := nginx.get(server, f"{url}/health/version")).release == release.commit, str(response)

    # nginx balances round robin, so as many consecutive responses reach each container.
    wait_for_consecutive(probe, server.replicas, NGINX_SECONDS, f"nginx did not reach {service(colour)}")
    for path in server.smoke_paths:
        nginx.require_ok(nginx.get(server, f"{url}{path}"), f"{path} of {service(colour)}")


def switch(deployment: Deployment) -> str:
    """Send all traffic to the target colour, with its release's nginx configuration."""
    server, release = deployment.server, deployment.release
    if release.nginx.is_dir():
        nginx.install(server, release.nginx)
    nginx.route(server, Traffic(deployment.journal.colour))
    return ""


def verify(deployment: Deployment) -> str:
    """Request the published port until several consecutive responses are of the release, then the smoke paths."""
    server = deployment.server
    server.runner.call("verify from outside", _verify, server, deployment.release)
    return ""


def _verify(server: Server, release: Release) -> None:
    def probe() -> tuple[bool, str]:
        return (response := nginx.get_public(server, "/health/version")).release == release.commit, str(response)

    wait_for_consecutive(probe, 3 * server.replicas, OUTSIDE_SECONDS, f"From outside, {release.commit} was not seen")
    for path in server.smoke_paths:
        nginx.require_ok(nginx.get_public(server, path), f"{path} from outside")


def record(deployment: Deployment) -> str:
    """Record the deploy in the history and install the release's bundle."""
    deployment.record_once("ok", seconds=deployment.seconds)
    active = f"all traffic is on {deployment.release.commit} after {deployment.seconds} s"
    return "; ".join(note for note in (active, bundle.install(deployment.server, deployment.release)) if note)


def drain(deployment: Deployment) -> str:
    """Wait until nginx's old workers have finished their requests."""
    nginx.drain(deployment.server)
    return ""


def stop_previous(deployment: Deployment) -> str:
    """Stop the colour that was active before; its containers stay for a rollback."""
    colours.stop(deployment.server, deployment.journal.previous_colour)
    return ""


def abort(deployment: Deployment) -> str:
    """Take the canary's traffic back."""
    revert(deployment)
    return ""


def revert(deployment: Deployment) -> None:
    """Send all traffic to the previous colour, with its own nginx configuration, and stop the other one."""
    server, previous = deployment.server, Traffic(deployment.journal.previous_colour)
    folder = bundle.active_bundle(server, previous.colour)
    if folder:
        try:
            nginx.install(server, folder / "nginx")
        except OSError as error:  # such as a full disk; traffic comes first
            echo(f"  nginx keeps its current configuration: {error}")
    nginx.route(server, previous)
    nginx.drain(server)
    colours.stop(server, previous.other)


def undo_start(deployment: Deployment) -> None:
    """Stop the target colour; a canary's traffic is taken back first."""
    if deployment.server.traffic == Traffic(deployment.journal.previous_colour):
        colours.stop(deployment.server, deployment.journal.colour)
    else:
        revert(deployment)


def start_nginx(server: Server, colour: str) -> None:
    """Restore the nginx configuration of a colour's release, and start nginx if it does not run."""
    folder = bundle.active_bundle(server, colour)
    if folder:
        server.runner.call(
            f"restore {server.folder / 'nginx'}", files.mirror, folder / "nginx", server.folder / "nginx"
        )
    server.runner.execute(server.compose.start_stateful("nginx"))
