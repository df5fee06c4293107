"""One release on its way to users: started on the idle colour, looked at, switched to; or put back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import files
from ops.docker import commands, nginx
from ops.docker.compose import service
from ops.docker.nginx import Response
from ops.errors import OpsError
from ops.progress import echo, wait_for, wait_for_consecutive
from ops.release import traffic
from ops.release.history import digest
from ops.release.traffic import INTERNAL_URLS, Traffic
from ops.server import FILE, Server

OUTSIDE_SECONDS = 15
EDGE_SECONDS = 15  # nginx looks names up every two seconds


@dataclass(frozen=True)
class Release:
    """An image by its digest, the commit that it says it is, and the folder with its bundle."""

    image: str
    commit: str
    bundle: Path

    @property
    def nginx(self) -> Path:
        """The edge's configuration."""
        return self.bundle / "nginx"

    @property
    def file(self) -> Path:
        """The compose file."""
        return self.bundle / FILE


def bundle_of(server: Server, image: str) -> Path:
    """Return the folder where the bundle of an image is kept."""
    return server.releases / digest(image).partition(":")[2][:12]


def find(server: Server, image: str) -> Release:
    """Return a release whose image is here; its commit is what the image's label says."""
    details = server.runner.query_json(commands.inspect_image(image))[0]
    labels = details["Config"].get("Labels") or {}
    return Release(image, labels.get("org.opencontainers.image.revision", "unknown"), bundle_of(server, image))


def start(server: Server, release: Release, colour: str) -> None:
    """Start a colour with a release; where its containers are still there, just start them."""
    server.runner.execute(commands.tag(release.image, server.colour_image(colour)))
    other = server.colour_image(Traffic(colour).other)
    if not _is_here(server, other):  # a new server: `docker compose up` needs an image for both
        server.runner.execute(commands.tag(release.image, other))
    server.runner.execute(server.with_file(release.file).compose.start_colour(colour))


def _is_here(server: Server, image: str) -> bool:
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        return False
    return True


def containers(server: Server, colour: str) -> list[dict[str, Any]]:
    """Return what Docker knows of each container of a colour."""
    ids = server.runner.query(commands.containers(server.name, colour)).split()
    found: list[dict[str, Any]] = server.runner.query_json(commands.inspect_containers(ids)) if ids else []
    return found


def await_ready(server: Server, release: Release, colour: str, seconds: float) -> None:
    """Wait until each container of a colour is ready and of the release; raises OpsError with its last output."""
    if server.runner.dry:
        return
    try:
        # Each look takes CPU time that the application needs to start, which it does not do in less than a second.
        wait_for(lambda: _ready(server, release, colour), seconds, f"{service(colour)} was not ready", pause=1.5)
    except OpsError as failure:
        raise OpsError(f"{failure}\n{_last_lines(server, colour)}") from failure


def _ready(server: Server, release: Release, colour: str) -> tuple[bool | None, str]:
    found = containers(server, colour)
    for container in found:
        state = container["State"]
        if state["Status"] in {"exited", "dead"} or container["RestartCount"]:
            raise OpsError(f"{service(colour)} did not start: it ended{_with(state)}.")
        answer = nginx.get(server, f"http://{_address(container)}:8000/health/ready")
        if answer.status != 200:
            return None, f"/health/ready of {container['Name'][1:]} answered {answer}"
        _right(release, nginx.get(server, f"http://{_address(container)}:8000/health/version"))
    return (True if len(found) == server.replicas else None), f"{len(found)} of {server.replicas} containers"


def _with(state: dict[str, Any]) -> str:
    """Return the exit code in argv; Docker forgets it when it starts a container again."""
    again = state.get("Running") and not state.get("Restarting")
    return "" if again else f" with exit code {state['ExitCode']}"


def _address(container: dict[str, Any]) -> str:
    networks = container["NetworkSettings"]["Networks"]
    return str(next(network["IPAddress"] for name, network in networks.items() if name.endswith("_frontend")))


def _right(release: Release, answer: Response) -> None:
    if _commit(answer) != release.commit:
        raise OpsError(f"It says that it is another release than {release.commit}, its image's label: {answer}")


def _commit(answer: Response) -> str | None:
    try:
        return str(json.loads(answer.body)["release"]) if answer.status == 200 else None
    except (ValueError, KeyError, TypeError):
        return None


def _last_lines(server: Server, colour: str) -> str:
    ids = server.runner.query(commands.containers(server.name, colour)).split()
    lines = server.runner.try_run(commands.logs_of(ids[0])).splitlines() if ids else []
    return "\n".join(f"    {line[:300]}" for line in lines)


def smoke(server: Server, release: Release, colour: str) -> None:
    """Ask a colour through nginx, as users will: nginx must know each container, and each smoke path answer 200."""
    if server.runner.dry:
        return
    door = INTERNAL_URLS[colour]

    def look() -> tuple[bool, str]:
        answer = nginx.get(server, f"{door}/health/version")
        return _commit(answer) == release.commit, str(answer)

    wait_for_consecutive(
        look, server.replicas, EDGE_SECONDS, f"nginx did not reach {service(colour)}"
    )  # they take turns
    for path in server.smoke_paths:
        nginx.require_ok(nginx.get(server, f"{door}{path}"), f"{path} of {service(colour)}")


def switch(server: Server, release: Release, colour: str) -> None:
    """Let users meet a colour, under its own release's configuration of nginx."""
    if release.nginx.is_dir():
        nginx.install(server, release.nginx)
    nginx.route(server, Traffic(colour))


def verify(server: Server, release: Release) -> None:
    """Ask from outside until several answers in a row are of the release, then the smoke paths."""
    if server.runner.dry:
        return

    def look() -> tuple[bool, str]:
        answer = nginx.get_public(server, "/health/version")
        return _commit(answer) == release.commit, str(answer)

    wait_for_consecutive(look, 3 * server.replicas, OUTSIDE_SECONDS, f"From outside, {release.commit} was not seen")
    for path in server.smoke_paths:
        nginx.require_ok(nginx.get_public(server, path), f"{path} from outside")


def stop(server: Server, colour: str) -> None:
    """Stop a colour that nginx no longer sends anything to."""
    server.runner.execute(server.compose.stop_colour(colour))


def revert_traffic(server: Server, colour: str) -> None:
    """Let users meet a colour alone again, with its own release's configuration of nginx, and stop the other one."""
    bundle = _bundle_on(server, colour)
    if bundle:
        try:
            nginx.install(server, bundle / "nginx")
        except OSError as error:  # a full disk, say; users come first
            echo(f"  nginx keeps the configuration that lies there: {error}")
    nginx.route(server, Traffic(colour))
    nginx.drain(server)
    stop(server, Traffic(colour).other)


def install_files(server: Server, colour: str) -> None:
    """Put the files in place with which nginx can be started to serve a colour, whatever lies there."""
    bundle = _bundle_on(server, colour)
    if bundle:
        files.mirror(bundle / "nginx", server.folder / "nginx")
    traffic.write(server.traffic_file, Traffic(colour))


def images_on(server: Server, colour: str) -> list[str]:
    """Return the names, by digest, of the image that a colour runs; none if it was built here or is not there."""
    if not _is_here(server, server.colour_image(colour)):
        return []
    details = server.runner.query_json(commands.inspect_image(server.colour_image(colour)))[0]
    return list(details.get("RepoDigests") or [])


def _bundle_on(server: Server, colour: str) -> Path | None:
    """Return the bundle of the release that a colour runs; None if ops never deployed it."""
    bundles = [bundle_of(server, image) for image in images_on(server, colour)]
    return next((bundle for bundle in bundles if bundle.is_dir()), None)
