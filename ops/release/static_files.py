"""The step that adds a release's static files to those that nginx serves.

Names contain a content hash, so the files of several releases coexist: a page loaded before a switch or a rollback
still finds its own files afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path

from ops import files
from ops.errors import OpsError
from ops.release.deployment import Deployment
from ops.server import Server

FOLDER = "static"  # of a bundle; older bundles have none


def run(deployment: Deployment) -> str:
    """Copy the release's files to where nginx serves them and return their number; raises OpsError."""
    server, source = deployment.server, deployment.release.bundle / FOLDER
    try:
        wanted = names(source)
        if wanted:
            server.runner.call(f"copy {source} to {server.static}", _copy, source, server.static, wanted)
    except OSError as error:
        raise OpsError(f"The static files of {deployment.release.commit} were not copied: {error}") from error
    return f"{len(wanted)} files" if wanted else ""


def _copy(source: Path, target: Path, wanted: set[Path]) -> None:
    """Copy the files and flush them to disk: browsers cache an empty file after a power cut for a year."""
    files.copy_files(source, target, wanted)
    for name in wanted:
        flush(target / name)


def flush(path: Path) -> None:
    """Flush a file to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def remove(server: Server, bundle: Path) -> None:
    """Remove a release's files, except those that another bundle has too."""
    bundles = [path for path in server.releases.iterdir() if not path.suffix]  # others are being added or removed
    kept = set().union(*(names(other / FOLDER) for other in bundles if other != bundle))
    for name in names(bundle / FOLDER) - kept:
        (server.static / name).unlink(missing_ok=True)


def names(folder: Path) -> set[Path]:
    """Return the relative paths of the files in a folder; none if it is missing. Raises OSError."""
    found = os.walk(folder, onerror=_unless_missing)
    return {Path(parent, name).relative_to(folder) for parent, _, inside in found for name in inside}


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
