"""Removes the image, bundle and static files of old releases; the last five stay."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.errors import OpsError
from ops.progress import echo, step
from ops.release import history, static_files
from ops.release.bundle import bundle_of, image_digests
from ops.release.history import digest
from ops.release.state import COLOURS, read_journal
from ops.server import Server

KEPT = 5


def prune(server: Server) -> None:
    """Remove releases before the last five; what cannot be removed stays and fails nothing."""
    if read_journal(server.journal_file):
        return  # an unfinished operation may need an old release
    entries = history.entries(server.history_file)
    kept = kept_digests(entries) | {digest(image) for colour in COLOURS for image in image_digests(server, colour)}
    deployed = dict.fromkeys(entry["image"] for entry in entries if entry["image"])  # a restore has none
    with step("prune") as report:
        removed = [image for image in deployed if digest(image) not in kept and _remove(server, image)]
        report.note = f"{len(removed)} removed, {len(kept)} kept"


def kept_digests(entries: list[history.Entry]) -> set[str]:
    """Return the digests of the last releases that were active."""
    return {digest(entry["image"]) for entry in history.releases(entries)[-KEPT:]}


def _remove(server: Server, image: str) -> bool:
    bundle = bundle_of(server, image)
    if not bundle.is_dir():
        return False
    with contextlib.suppress(OpsError):  # a stopped container may still use it
        server.runner.execute(commands.remove_image(image))
    try:
        server.runner.call(f"remove {bundle}", _remove_files, server, bundle)
    except OSError as error:
        echo(f"  {bundle} stays: {error}")
        return False
    return True


def _remove_files(server: Server, bundle: Path) -> None:
    static_files.remove(server, bundle)  # first: after a kill in between, the next prune finds the bundle
    files.remove_folder(bundle)
