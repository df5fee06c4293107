"""Free disk space of the server's folder and of Docker."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ops.docker import commands
from ops.errors import PreconditionError
from ops.server import Server

FREE_BYTES = 2 * 2**30


def require_free(server: Server) -> int:
    """Return the free bytes; raises PreconditionError if an image and its logs could fill a disk."""
    free = {folder: shutil.disk_usage(folder).free for folder in disks(server)}
    fullest = min(free, key=lambda folder: free[folder])
    if free[fullest] < FREE_BYTES:
        raise PreconditionError(
            f"Only {free[fullest] / 2**30:.1f} GiB are free at {fullest}, 2 are needed. See: docker system df"
        )
    return free[fullest]


def disks(server: Server) -> list[Path]:
    """Return the folders whose disks fill: the server's, and Docker's if it is accessible."""
    docker = Path(server.runner.query(commands.docker_root()).strip())
    return [server.folder, *[docker for known in [docker] if known.is_absolute() and os.access(known, os.F_OK)]]
