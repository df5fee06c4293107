"""Takes away what is left of old releases: image, bundle, static files. The last five stay, and what is not ours."""

from __future__ import annotations

import contextlib

from ops import files
from ops.docker import commands
from ops.errors import OpsError
from ops.progress import echo, step
from ops.release import colours, history, journal, static_files
from ops.release.history import digest
from ops.release.traffic import COLOURS
from ops.server import Server

KEPT = 5


def prune(server: Server) -> None:
    """Remove what releases before the last five have brought here; what cannot be removed stays, and stops nothing."""
    if journal.read(server.journal_file):
        return  # a command that has not ended may need what looks old
    entries = history.entries(server.history_file)
    kept = kept_digests(entries) | {digest(image) for colour in COLOURS for image in colours.images_on(server, colour)}
    brought = dict.fromkeys(entry["image"] for entry in entries if entry["image"])  # a restore brings none
    old = [image for image in brought if digest(image) not in kept]
    with step("prune") as current:
        removed = [image for image in old if _remove(server, image)]
        current.note = f"{len(removed)} removed, {len(kept)} kept"


def kept_digests(entries: list[history.Entry]) -> set[str]:
    """Return the digests of the last releases that served."""
    return {digest(entry["image"]) for entry in history.releases(entries)[-KEPT:]}


def _remove(server: Server, image: str) -> bool:
    bundle = colours.bundle_of(server, image)
    if not bundle.is_dir():
        return False
    with contextlib.suppress(OpsError):  # a container that was kept for its logs may still use it
        server.runner.execute(commands.remove_image(image))
    try:
        if not server.runner.dry:
            static_files.forget(
                server, bundle
            )  # first: killed in between, the next prune finds the bundle, and does both
            files.remove(bundle)
    except OSError as error:
        echo(f"  {bundle} stays: {error}")
        return False
    return True
