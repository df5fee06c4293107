"""The containers of a release: start the idle colour, wait until it is ready, stop it; remove one-off containers."""

from __future__ import annotations

from typing import Any

from ops.docker import commands, nginx
from ops.docker.compose import service
from ops.errors import OpsError
from ops.progress import wait_for
from ops.release.bundle import Release, has_image
from ops.release.deployment import Deployment
from ops.release.state import Traffic
from ops.server import Server

REMOVE_SECONDS = 60


def start(deployment: Deployment) -> str:
    """Start the idle colour with the release; existing containers of the same release are just started."""
    server, image, colour = deployment.server, deployment.release.image, deployment.journal.colour
    server.runner.execute(commands.tag(image, server.colour_image(colour)))
    other = server.colour_image(Traffic(colour).other)
    if not has_image(server, other):  # a new server: `docker compose up` needs an image for both
        server.runner.execute(commands.tag(image, other))
    server.runner.execute(server.with_file(deployment.release.file).compose.start_colour(colour))
    return ""


def await_ready(deployment: Deployment) -> str:
    """Wait until each container is ready and of the release; raises OpsError with the container's last output."""
    server, colour = deployment.server, deployment.journal.colour
    arguments = server, deployment.release, colour, deployment.request.ready_seconds
    server.runner.call(f"wait until {service(colour)} is ready", _await_ready, *arguments)
    return ""


def _await_ready(server: Server, release: Release, colour: str, seconds: float) -> None:
    try:
        # A probe takes CPU time from the starting application, which needs more than a second in any case.
        wait_for(lambda: _is_ready(server, release, colour), seconds, f"{service(colour)} was not ready", pause=1.5)
    except OpsError as error:
        raise OpsError(f"{error}\n{_last_output(server, colour)}") from error


def _is_ready(server: Server, release: Release, colour: str) -> tuple[bool | None, str]:
    found = containers(server, colour)
    for container in found:
        _require_running(container, colour)
        url = f"http://{_address(container)}:8000"
        response = nginx.get(server, f"{url}/health/ready")
        if response.status != 200:
            return None, f"/health/ready of {container['Name'][1:]} returned {response}"
        version = nginx.get(server, f"{url}/health/version")
        if version.release != release.commit:
            raise OpsError(f"It reports another release than {release.commit}, its image's label: {version}")
    return (True if len(found) == server.replicas else None), f"{len(found)} of {server.replicas} containers"


def _require_running(container: dict[str, Any], colour: str) -> None:
    state = container["State"]
    if state["Status"] in {"exited", "dead"} or container["RestartCount"]:
        restarted = state.get("Running") and not state.get("Restarting")  # Docker has reset the exit code
        raise OpsError(f"{service(colour)} exited{'' if restarted else ' with code ' + str(state['ExitCode'])}.")


def _address(container: dict[str, Any]) -> str:
    networks = container["NetworkSettings"]["Networks"]
    return str(next(network["IPAddress"] for name, network in networks.items() if name.endswith("_frontend")))


def _last_output(server: Server, colour: str) -> str:
    ids = server.runner.query(commands.containers(server.name, colour)).split()
    lines = server.runner.try_run(commands.logs_of(ids[0])).splitlines() if ids else []
    return "\n".join(f"    {line[:300]}" for line in lines)


def containers(server: Server, colour: str) -> list[dict[str, Any]]:
    """Return `docker inspect` of each container of a colour."""
    ids = server.runner.query(commands.containers(server.name, colour)).split()
    found: list[dict[str, Any]] = server.runner.query_json(commands.inspect_containers(ids)) if ids else []
    return found


def stop(server: Server, colour: str) -> None:
    """Stop a colour that gets no traffic."""
    server.runner.execute(server.compose.stop_colour(colour))


def remove_one_offs(server: Server) -> None:
    """Remove containers, such as migrations, that a command left running; raises OpsError if one stays."""
    if remaining := _one_offs(server):
        failure = "One-off containers were not removed"
        server.runner.call(
            f"remove the containers {' '.join(remaining)}", wait_for, lambda: _removed(server), REMOVE_SECONDS, failure
        )


def _one_offs(server: Server) -> list[str]:
    return server.runner.query(commands.one_offs(server.name)).split()


def _removed(server: Server) -> tuple[bool | None, str]:
    remaining = _one_offs(server)
    if not remaining:
        return True, ""
    try:
        server.runner.execute(commands.remove_containers(remaining))
    except OpsError as error:  # Docker itself removes a container that has just exited
        return None, str(error)
    return None, f"{len(remaining)} remaining"
