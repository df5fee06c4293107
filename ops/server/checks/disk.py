"""Check the disk space for images, the database and backups."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ops.server import Server, disk
from ops.server.checks.finding import Finding, failed, passed, warned

MIN_FREE = 0.1  # of a disk
MIN_INODES = 0.02
BACKUP_FREE_MIB = 3072  # the default in deploy/backup/lib.sh


def check_disk(server: Server) -> Iterator[Finding]:
    """Check the disks of this folder and of Docker's images and volumes."""
    paths = disk.disks(server)
    found = [finding for path in paths for finding in _find_problems(path, disk.FREE_BYTES)]
    yield from found
    if not found:
        free = min(shutil.disk_usage(path).free for path in paths)
        yield passed(f"{free / 2**30:.1f} GiB are free at {' and '.join(map(str, paths))}.")


def check_backups_disk(server: Server) -> Iterator[Finding]:
    """Check the backup disk: backups stop below BACKUP_FREE."""
    environment = server.config["services"]["backup"].get("environment", {})
    required = int(environment.get("BACKUP_FREE") or BACKUP_FREE_MIB) * 2**20
    found = list(_find_problems(_existing(server.backups), required))
    yield from found or [passed(f"backups have enough space at {server.backups}.")]


def _find_problems(path: Path, required: int) -> Iterator[Finding]:
    disk, remedy = shutil.disk_usage(path), "See: docker system df; du --max-depth=2 --human-readable"
    if disk.free < required:
        yield failed(f"only {_gib(disk.free)} are free at {path}; {_gib(required)} are needed.", remedy)
    elif disk.free < MIN_FREE * disk.total:
        yield warned(f"only {_gib(disk.free)} of {_gib(disk.total)} are free at {path}.", remedy)
    files = os.statvfs(path)
    if files.f_files and files.f_favail < MIN_INODES * files.f_files:
        yield warned(f"{path} has only {files.f_favail} inodes left, of {files.f_files}.", "See: df --inodes")


def _gib(number: float) -> str:
    return f"{number / 2**30:.1f} GiB"


def _existing(path: Path) -> Path:
    """Return the path, or its nearest existing parent."""
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK))
