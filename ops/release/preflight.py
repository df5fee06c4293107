"""What must be well on the server before a release is begun, and what a release leaves there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.docker.compose import OPTIONAL, STATEFUL, Argv
from ops.errors import OpsError, PreconditionError
from ops.release.colours import Release
from ops.server import FILE, Server

MOUNTED = (
    "deploy/postgres",
    "deploy/pgbouncer",
    "deploy/certbot",
    "deploy/backup",
    "deploy/observability",
)  # of a bundle, besides nginx'; mirrored file by file, so that the folder stays the same
FREE_BYTES = 2 * 2**30
START_SECONDS = 900  # on a new server it fetches images first


def check(server: Server) -> str:
    """Start the stateful services and return warnings; raises PreconditionError if a release cannot begin."""
    refuse_missing_secrets(server)
    refuse_full_disk(server)
    server.runner.execute(server.compose.start_stateful(*lasting(server)), timeout=START_SECONDS)
    notes = [put_roles_right(server), changes(server)]
    if server.config["services"]["db"].get("environment", {}).get("SYNCHRONOUS_ARCHIVE") == "on":
        notes.append(try_to(server, server.compose.start_sidecars("wal-receiver")))  # or no migration would commit
    return "; ".join(note for note in notes if note)


def lasting(server: Server) -> list[str]:
    """Return what keeps data, and the edge; the settings say which of it there is."""
    return [*(name for name in OPTIONAL if name in server.config["services"]), *STATEFUL]


def put_roles_right(server: Server) -> str:
    """Give the database's roles today's passwords and rights; one that runs as it did before cannot, and is noted."""
    why = try_to(server, server.compose.exec_in("db", "bash", "/opt/postgres/roles.sh"))
    return f"the database's roles are not up to date: {why}" if why else ""


def try_to(server: Server, argv: Argv) -> str:
    """Run a command, and return what went wrong."""
    try:
        server.runner.execute(argv)
    except OpsError as failure:
        return str(failure)
    return ""


def changes(server: Server) -> str:
    """Return what to do where a service's definition has changed."""
    changed = [] if server.runner.dry else changed_services(server)
    if not changed:
        return ""
    return (
        f"the definition of {', '.join(changed)} has changed; a deploy leaves them alone, to apply it "
        f"(with a short break): docker compose up --detach --no-deps {' '.join(changed)}"
    )


def refuse_missing_secrets(server: Server) -> None:
    """Raise PreconditionError unless each file that the compose file names is there."""
    files = [Path(secret["file"]) for secret in server.config["secrets"].values()]
    missing = sorted(str(file.relative_to(server.folder)) for file in files if not file.exists())
    if missing:
        raise PreconditionError(f"Missing: {', '.join(missing)}. `python3 -m ops init` makes what is missing.")


def refuse_full_disk(server: Server) -> int:
    """Return the free bytes; raises PreconditionError if an image and its logs could fill a disk."""
    free = {place: shutil.disk_usage(place).free for place in places(server)}
    place = min(free, key=lambda place: free[place])
    if free[place] < FREE_BYTES:
        raise PreconditionError(
            f"Only {free[place] / 2**30:.1f} GiB are free at {place}, 2 are needed. See: docker system df"
        )
    return free[place]


def places(server: Server) -> list[Path]:
    """Return the folders whose disks fill: this one, and Docker's, where it can be seen."""
    docker = Path(server.runner.query(commands.root()).strip())
    return [server.folder, *[docker for known in [docker] if known.is_absolute() and os.access(known, os.F_OK)]]


def changed_services(server: Server) -> list[str]:
    """Return the services besides the colours whose containers were made from another definition than today's."""
    wanted = dict(line.split() for line in server.runner.query(server.compose.hashes()).splitlines())
    running = [json.loads(line) for line in server.runner.query(server.compose.ps()).splitlines()]
    found = {}
    for container in running:
        labels = dict(label.partition("=")[::2] for label in container["Labels"].split(","))
        found[container["Service"]] = labels.get("com.docker.compose.config-hash")
    made_anew = {
        "migrate",
        "certbot",
        *server.backup_services,
        *server.monitoring_services,
    }  # by each deploy, as the colours are
    lasting = sorted(name for name in wanted if name not in made_anew and not name.startswith("web-"))
    return [name for name in lasting if found.get(name) not in {None, wanted[name]}]


def install(server: Server, found: Release) -> str:
    """Make the bundle of the release that serves the one that lies in the server's folder; return what is worth a note.

    What makes backups begins here and not before: beside a migration, a dump would keep the tables' locks.
    """
    if server.runner.dry or not found.bundle.is_dir():
        return ""
    files.swap(found.bundle / "ops", server.folder / "ops")
    brought = [name for name in MOUNTED if (found.bundle / name).is_dir()]  # an older release may lack one
    cared_for = {
        "deploy/certbot": ("certbot",),
        "deploy/backup": server.backup_services,
        "deploy/observability": server.monitoring_services,
    }  # who runs their files
    changed = [
        name for name in cared_for if name in brought and not files.same(found.bundle / name, server.folder / name)
    ]
    for name in brought:
        files.mirror(found.bundle / name, server.folder / name)
    files.copy(found.file, server.folder / FILE)
    argv = [
        server.compose.start_sidecars("certbot", *server.backup_services),
        *(
            [server.compose.start_sidecars(*server.monitoring_services)] if server.monitoring_services else []
        ),  # backups do not wait for its images
        *(server.compose.restart(*cared_for[name]) for name in changed if cared_for[name]),
    ]
    return "; ".join(f"not all is cared for: {why}" for each in argv if (why := try_to(server, each)))
