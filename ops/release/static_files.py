"""The static files of releases, which nginx serves: names hold a hash of the content, so all lie side by side.

A page that was loaded before a switch, or before a rollback, finds its own afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path

from ops import files
from ops.errors import OpsError
from ops.release.colours import Release
from ops.server import Server

FOLDER = "static"  # of a bundle; one of before there was such a folder has none


def install(server: Server, found: Release) -> str:
    """Bring a release's files to where nginx serves them, and return how many; raises OpsError if that cannot be done.

    They are on the disk for good before anybody can ask for one: what goes out once, browsers keep for a year.
    """
    source = found.bundle / FOLDER
    try:
        wanted = names(source)
        if wanted and server.runner.dry:
            server.runner.execute(["cp", "-r", f"{source}/.", str(server.static)])
        elif wanted:
            files.add(source, server.static, wanted)
            for name in wanted:
                flush(server.static / name)
    except OSError as error:
        raise OpsError(f"The static files of {found.commit} cannot be put into {server.static}: {error}") from error
    return f"{len(wanted)} files" if wanted else ""


def forget(server: Server, bundle: Path) -> None:
    """Take a release's files away, but for those that another bundle here has, too."""
    whole = [path for path in server.releases.iterdir() if not path.suffix]  # the others are on their way in or out
    kept = set().union(*(names(other / FOLDER) for other in whole if other != bundle))
    for name in names(bundle / FOLDER) - kept:
        (server.static / name).unlink(missing_ok=True)


def names(folder: Path) -> set[Path]:
    """Return the files in a folder, by their names in it; none if it is not there. Raises OSError."""
    found = os.walk(folder, onerror=_unless_missing)
    return {Path(parent, name).relative_to(folder) for parent, _, inside in found for name in inside}


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def flush(path: Path) -> None:
    """Let a file be on the disk itself: after a power cut it might be there and empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
