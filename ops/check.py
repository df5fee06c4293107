"""What must be well on the server before a release is begun, and what a release leaves there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from ops import commands, files
from ops.errors import Failure, Refusal
from ops.release import Release
from ops.site import FILE, Site

MOUNTED = (
    "deploy/postgres",
    "deploy/pgbouncer",
    "deploy/certbot",
    "deploy/backup",
    "deploy/observability",
)  # of a bundle, besides nginx'; mirrored file by file, so that the folder stays the same
FREE_BYTES = 2 * 2**30
START_SECONDS = 900  # on a new server it fetches images first


def check(site: Site) -> str:
    """Raise Refusal for what stands in the way, start what keeps data and the edge, and return what is worth a note."""
    refuse_missing_secrets(site)
    refuse_full_disk(site)
    site.runner.change(site.compose.start_lasting(*lasting(site)), timeout=START_SECONDS)
    notes = [put_roles_right(site), changes(site)]
    if site.config["services"]["db"].get("environment", {}).get("SYNCHRONOUS_ARCHIVE") == "on":
        notes.append(try_to(site, site.compose.start_carers("wal")))  # without it no migration would be committed
    return "; ".join(note for note in notes if note)


def lasting(site: Site) -> list[str]:
    """Return what keeps data, and the edge; the settings say which of it there is."""
    return [*(name for name in commands.OPTIONAL if name in site.config["services"]), *commands.LASTING]


def put_roles_right(site: Site) -> str:
    """Give the database's roles today's passwords and rights; one that runs as it did before cannot, and is noted."""
    why = try_to(site, site.compose.beside("db", "bash", "/opt/postgres/roles.sh"))
    return f"the database's roles are not up to date: {why}" if why else ""


def try_to(site: Site, words: commands.Words) -> str:
    """Run a command, and return what went wrong."""
    try:
        site.runner.change(words)
    except Failure as failure:
        return str(failure)
    return ""


def changes(site: Site) -> str:
    """Return what to do where a service's definition has changed."""
    changed = [] if site.runner.dry else changed_services(site)
    if not changed:
        return ""
    return (
        f"the definition of {', '.join(changed)} has changed; a deploy leaves them alone, to apply it "
        f"(with a short break): docker compose up --detach --no-deps {' '.join(changed)}"
    )


def refuse_missing_secrets(site: Site) -> None:
    """Raise Refusal unless each file that the compose file names is there."""
    files = [Path(secret["file"]) for secret in site.config["secrets"].values()]
    missing = sorted(str(file.relative_to(site.folder)) for file in files if not file.exists())
    if missing:
        raise Refusal(f"Missing: {', '.join(missing)}. `python3 -m ops init` makes what is missing.")


def refuse_full_disk(site: Site) -> int:
    """Raise Refusal when an image and its logs could fill the disk of this folder, or Docker's; return what is free."""
    free = {place: shutil.disk_usage(place).free for place in places(site)}
    place = min(free, key=lambda place: free[place])
    if free[place] < FREE_BYTES:
        raise Refusal(f"Only {free[place] / 2**30:.1f} GiB are free at {place}, 2 are needed. See: docker system df")
    return free[place]


def places(site: Site) -> list[Path]:
    """Return the folders whose disks fill: this one, and Docker's, where it can be seen."""
    docker = Path(site.runner.look(commands.root()).strip())
    return [site.folder, *[docker for known in [docker] if known.is_absolute() and os.access(known, os.F_OK)]]


def changed_services(site: Site) -> list[str]:
    """Return the services besides the colours whose containers were made from another definition than today's."""
    wanted = dict(line.split() for line in site.runner.look(site.compose.hashes()).splitlines())
    running = [json.loads(line) for line in site.runner.look(site.compose.ps()).splitlines()]
    found = {}
    for container in running:
        labels = dict(label.partition("=")[::2] for label in container["Labels"].split(","))
        found[container["Service"]] = labels.get("com.docker.compose.config-hash")
    made_anew = {"migrate", "certbot", *site.keepers, *site.watchers}  # by each deploy, as the colours are
    lasting = sorted(name for name in wanted if name not in made_anew and not name.startswith("web-"))
    return [name for name in lasting if found.get(name) not in {None, wanted[name]}]


def install(site: Site, found: Release) -> str:
    """Make the bundle of the release that serves the one that lies in the server's folder; return what is worth a note.

    What makes backups begins here and not before: beside a migration, a dump would keep the tables' locks.
    """
    if site.runner.dry or not found.bundle.is_dir():
        return ""
    files.swap(found.bundle / "ops", site.folder / "ops")
    brought = [name for name in MOUNTED if (found.bundle / name).is_dir()]  # an older release may lack one
    cared_for = {
        "deploy/certbot": ("certbot",),
        "deploy/backup": site.keepers,
        "deploy/observability": site.watchers,
    }  # who runs their files
    changed = [
        name for name in cared_for if name in brought and not files.same(found.bundle / name, site.folder / name)
    ]
    for name in brought:
        files.mirror(found.bundle / name, site.folder / name)
    files.copy(found.file, site.folder / FILE)
    words = [
        site.compose.start_carers("certbot", *site.keepers),
        *([site.compose.start_carers(*site.watchers)] if site.watchers else []),  # backups do not wait for its images
        *(site.compose.restart(*cared_for[name]) for name in changed if cared_for[name]),
    ]
    return "; ".join(f"not all is cared for: {why}" for each in words if (why := try_to(site, each)))
