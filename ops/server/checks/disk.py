"""There is room: for the next image, for the database, and for backups."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ops.release import preflight
from ops.server import Server
from ops.server.checks.finding import Finding, failed, passed, warned

LITTLE = 0.1  # of a disk
INODES = 0.02  # of those of a disk
BACKUPS_MEBIBYTES = 3072  # BACKUP_FREE, as deploy/backup/lib.sh has it


def check_disk(server: Server) -> Iterator[Finding]:
    """See that this folder's disk, and the one on which Docker keeps images and volumes, have room."""
    places = preflight.places(server)
    found = [finding for place in places for finding in _judged(place, preflight.FREE_BYTES)]
    yield from found
    if not found:
        free = min(shutil.disk_usage(place).free for place in places)
        yield passed(f"{free / 2**30:.1f} GiB are free at {' and '.join(map(str, places))}.")


def check_backups_disk(server: Server) -> Iterator[Finding]:
    """See that backups have room: with less than BACKUP_FREE they stop."""
    environment = server.config["services"]["backup"].get("environment", {})
    wanted = int(environment.get("BACKUP_FREE") or BACKUPS_MEBIBYTES) * 2**20
    found = list(_judged(_there(server.backups), wanted))
    yield from found or [passed(f"backups have room at {server.backups}.")]


def _judged(place: Path, wanted: int) -> Iterator[Finding]:
    disk, remedy = shutil.disk_usage(place), "See: docker system df; du --max-depth=2 --human-readable"
    if disk.free < wanted:
        yield failed(f"only {_gib(disk.free)} are free at {place}, {_gib(wanted)} are needed.", remedy)
    elif disk.free < LITTLE * disk.total:
        yield warned(f"only {_gib(disk.free)} of {_gib(disk.total)} are free at {place}.", remedy)
    files = os.statvfs(place)
    if files.f_files and files.f_favail < INODES * files.f_files:
        yield warned(f"{place} has only {files.f_favail} inodes left, of {files.f_files}.", "See: df --inodes")


def _gib(number: float) -> str:
    return f"{number / 2**30:.1f} GiB"


def _there(path: Path) -> Path:
    """Return the folder, or what is there of the way to it."""
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK))
