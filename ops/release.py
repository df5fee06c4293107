"""One release on its way to users: started on the idle colour, looked at, switched to; or put back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import commands, edge, files, serving
from ops.commands import service
from ops.edge import Answer
from ops.errors import Failure
from ops.history import digest
from ops.progress import in_a_row, say, wait
from ops.serving import DOORS, Serving
from ops.site import FILE, Site

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


def bundle_of(site: Site, image: str) -> Path:
    """Return the folder where the bundle of an image is kept."""
    return site.releases / digest(image).partition(":")[2][:12]


def find(site: Site, image: str) -> Release:
    """Return a release whose image is here; its commit is what the image's label says."""
    details = site.runner.look_json(commands.inspect_image(image))[0]
    labels = details["Config"].get("Labels") or {}
    return Release(image, labels.get("org.opencontainers.image.revision", "unknown"), bundle_of(site, image))


def start(site: Site, release: Release, colour: str) -> None:
    """Start a colour with a release; where its containers are still there, just start them."""
    site.runner.change(commands.tag(release.image, site.colour_image(colour)))
    other = site.colour_image(Serving(colour).other)
    if not _is_here(site, other):  # a new server: `docker compose up` needs an image for both
        site.runner.change(commands.tag(release.image, other))
    site.runner.change(site.with_file(release.file).compose.start_colour(colour))


def _is_here(site: Site, image: str) -> bool:
    try:
        site.runner.look(commands.inspect_image(image))
    except Failure:
        return False
    return True


def containers(site: Site, colour: str) -> list[dict[str, Any]]:
    """Return what Docker knows of each container of a colour."""
    ids = site.runner.look(commands.containers(site.name, colour)).split()
    found: list[dict[str, Any]] = site.runner.look_json(commands.inspect_containers(ids)) if ids else []
    return found


def await_ready(site: Site, release: Release, colour: str, seconds: float) -> None:
    """Wait until each container of a colour is healthy, ready and of the release; raises Failure with what was seen."""
    if site.runner.dry:
        return
    try:
        # Each look takes CPU time that the application needs to start, which it does not do in less than a second.
        wait(lambda: _ready(site, release, colour), seconds, f"{service(colour)} was not ready", pause=1.5)
    except Failure as failure:
        raise Failure(f"{failure}\n{_last_lines(site, colour)}") from failure


def _ready(site: Site, release: Release, colour: str) -> tuple[bool | None, str]:
    found = containers(site, colour)
    for container in found:
        state = container["State"]
        if state["Status"] in {"exited", "dead"} or container["RestartCount"]:
            raise Failure(f"{service(colour)} did not start: it ended{_with(state)}.")
        answer = edge.ask(site, f"http://{_address(container)}:8000/health/ready")
        if answer.status != 200:
            return None, f"/health/ready of {container['Name'][1:]} answered {answer}"
        _right(release, edge.ask(site, f"http://{_address(container)}:8000/health/version"))
    return (True if len(found) == site.replicas else None), f"{len(found)} of {site.replicas} containers"


def _with(state: dict[str, Any]) -> str:
    """Return the exit code in words; Docker forgets it when it starts a container again."""
    again = state.get("Running") and not state.get("Restarting")
    return "" if again else f" with exit code {state['ExitCode']}"


def _address(container: dict[str, Any]) -> str:
    networks = container["NetworkSettings"]["Networks"]
    return str(next(network["IPAddress"] for name, network in networks.items() if name.endswith("_outside")))


def _right(release: Release, answer: Answer) -> None:
    if _commit(answer) != release.commit:
        raise Failure(f"It says that it is another release than {release.commit}, its image's label: {answer}")


def _commit(answer: Answer) -> str | None:
    try:
        return str(json.loads(answer.body)["release"]) if answer.status == 200 else None
    except (ValueError, KeyError, TypeError):
        return None


def _last_lines(site: Site, colour: str) -> str:
    ids = site.runner.look(commands.containers(site.name, colour)).split()
    lines = site.runner.tell(commands.logs_of(ids[0])).splitlines() if ids else []
    return "\n".join(f"    {line[:300]}" for line in lines)


def smoke(site: Site, release: Release, colour: str) -> None:
    """Ask a colour through nginx, as users will: nginx must know each container, and each smoke path answer 200."""
    if site.runner.dry:
        return
    door = DOORS[colour]

    def look() -> tuple[bool, str]:
        answer = edge.ask(site, f"{door}/health/version")
        return _commit(answer) == release.commit, str(answer)

    in_a_row(look, site.replicas, EDGE_SECONDS, f"nginx did not reach {service(colour)}")  # they take turns
    for path in site.smoke_paths:
        edge.must_answer(edge.ask(site, f"{door}{path}"), f"{path} of {service(colour)}")


def switch(site: Site, release: Release, colour: str) -> None:
    """Let users meet a colour, under its own release's configuration of nginx."""
    if release.nginx.is_dir():
        edge.install(site, release.nginx)
    edge.serve(site, Serving(colour))


def verify(site: Site, release: Release) -> None:
    """Ask from outside until several answers in a row are of the release, then the smoke paths."""
    if site.runner.dry:
        return

    def look() -> tuple[bool, str]:
        answer = edge.ask_outside(site, "/health/version")
        return _commit(answer) == release.commit, str(answer)

    in_a_row(look, 3 * site.replicas, OUTSIDE_SECONDS, f"From outside, {release.commit} was not seen")
    for path in site.smoke_paths:
        edge.must_answer(edge.ask_outside(site, path), f"{path} from outside")


def stop(site: Site, colour: str) -> None:
    """Stop a colour that nginx no longer sends anything to."""
    site.runner.change(site.compose.stop_colour(colour))


def put_back(site: Site, colour: str) -> None:
    """Let users meet a colour alone again, with its own release's configuration of nginx, and stop the other one."""
    bundle = _bundle_on(site, colour)
    if bundle:
        try:
            edge.install(site, bundle / "nginx")
        except OSError as error:  # a full disk, say; users come first
            say(f"  nginx keeps the configuration that lies there: {error}")
    edge.serve(site, Serving(colour))
    edge.drain(site)
    stop(site, Serving(colour).other)


def lay_out(site: Site, colour: str) -> None:
    """Put the files in place with which nginx can be started to serve a colour, whatever lies there."""
    bundle = _bundle_on(site, colour)
    if bundle:
        files.mirror(bundle / "nginx", site.folder / "nginx")
    serving.write(site.serving_file, Serving(colour))


def images_on(site: Site, colour: str) -> list[str]:
    """Return the names, by digest, of the image that a colour runs; none if it was built here or is not there."""
    if not _is_here(site, site.colour_image(colour)):
        return []
    details = site.runner.look_json(commands.inspect_image(site.colour_image(colour)))[0]
    return list(details.get("RepoDigests") or [])


def _bundle_on(site: Site, colour: str) -> Path | None:
    """Return the bundle of the release that a colour runs; None if ops never deployed it."""
    bundles = [bundle_of(site, image) for image in images_on(site, colour)]
    return next((bundle for bundle in bundles if bundle.is_dir()), None)
