"""A release on the server: its image, its commit and its bundle (the files that a server needs)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.docker.compose import Argv
from ops.errors import OpsError
from ops.release.history import digest
from ops.server import FILE, Server

COMMIT_LABEL = "org.opencontainers.image.revision"
MOUNTED = ("deploy/postgres", "deploy/pgbouncer", "deploy/certbot", "deploy/backup", "deploy/observability")


@dataclass(frozen=True)
class Release:
    """An image by digest, its commit, and the folder of its bundle."""

    image: str
    commit: str
    bundle: Path

    @property
    def nginx(self) -> Path:
        """The nginx configuration."""
        return self.bundle / "nginx"

    @property
    def file(self) -> Path:
        """The Compose file."""
        return self.bundle / FILE


def bundle_of(server: Server, image: str) -> Path:
    """Return the folder for the bundle of an image."""
    return server.releases / digest(image).partition(":")[2][:12]


def find(server: Server, image: str, commit: str = "unknown") -> Release:
    """Return a release whose image was pulled; a dry run, which pulls nothing, assumes COMMIT."""
    assumed = [{"Config": {"Labels": {COMMIT_LABEL: commit}}}]
    details = server.runner.query_json(commands.inspect_image(image), assumed=assumed)[0]
    labels = details["Config"].get("Labels") or {}
    return Release(image, labels.get(COMMIT_LABEL, "unknown"), bundle_of(server, image))


def active_bundle(server: Server, colour: str) -> Path | None:
    """Return the bundle of the release that a colour runs; None if ops never deployed it."""
    bundles = [bundle_of(server, image) for image in image_digests(server, colour)]
    return next((bundle for bundle in bundles if bundle.is_dir()), None)


def image_digests(server: Server, colour: str) -> list[str]:
    """Return the digests of a colour's image; empty if it was built here or is missing."""
    if not has_image(server, server.colour_image(colour)):
        return []
    details = server.runner.query_json(commands.inspect_image(server.colour_image(colour)))[0]
    return list(details.get("RepoDigests") or [])


def has_image(server: Server, image: str) -> bool:
    """Whether the image is on this server."""
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        return False
    return True


def install(server: Server, release: Release) -> str:
    """Copy the active release's bundle into the server's folder and start its sidecars; return what failed.

    Backup jobs start here and not earlier: a dump during a migration would hold the locks of its tables.
    """
    if not release.bundle.is_dir():
        return ""
    sidecars = {
        "deploy/certbot": ("certbot",),
        "deploy/backup": server.backup_services,
        "deploy/observability": server.monitoring_services,
    }
    folders = [name for name in MOUNTED if (release.bundle / name).is_dir()]  # an older release may lack one
    changed = [
        name
        for name in folders
        if name in sidecars and not files.is_same_tree(release.bundle / name, server.folder / name)
    ]
    server.runner.call(f"install {release.bundle}", _copy, server, release, folders)
    return start_sidecars(server, [sidecars[name] for name in changed if sidecars[name]])


def _copy(server: Server, release: Release, folders: list[str]) -> None:
    """Copy file by file, so that mounted folders stay the same; ops itself is swapped whole."""
    files.replace_folder(release.bundle / "ops", server.folder / "ops")
    for name in folders:
        files.mirror(release.bundle / name, server.folder / name)
    files.copy(release.file, server.folder / FILE)


def start_sidecars(server: Server, changed: list[tuple[str, ...]]) -> str:
    """Start certificate, backup and monitoring services and restart CHANGED ones; return what failed."""
    compose = server.compose
    commands = [compose.start_sidecars("certbot", *server.backup_services)]
    if server.monitoring_services:  # separate: backups do not wait until its images are pulled
        commands.append(compose.start_sidecars(*server.monitoring_services))
    commands += [compose.restart(*services) for services in changed]
    return "; ".join(f"a sidecar failed: {error}" for argv in commands if (error := try_execute(server, argv)))


def try_execute(server: Server, argv: Argv) -> str:
    """Execute a command and return its error, or an empty text."""
    try:
        server.runner.execute(argv)
    except OpsError as error:
        return str(error)
    return ""
