"""Takes away what is left of old releases: image, bundle, static files. The last five stay, and what is not ours."""

from __future__ import annotations

import contextlib

from ops import commands, files, history, journal, release, static
from ops.errors import Failure
from ops.history import digest
from ops.progress import say, step
from ops.serving import COLOURS
from ops.site import Site

KEPT = 5


def prune(site: Site) -> None:
    """Remove what releases before the last five have brought here; what cannot be removed stays, and stops nothing."""
    if journal.read(site.journal_file):
        return  # a command that has not ended may need what looks old
    entries = history.entries(site.history_file)
    kept = kept_digests(entries) | {digest(image) for colour in COLOURS for image in release.images_on(site, colour)}
    brought = dict.fromkeys(entry["image"] for entry in entries if entry["image"])  # a restore brings none
    old = [image for image in brought if digest(image) not in kept]
    with step("prune") as current:
        removed = [image for image in old if _remove(site, image)]
        current.note = f"{len(removed)} removed, {len(kept)} kept"


def kept_digests(entries: list[history.Entry]) -> set[str]:
    """Return the digests of the last releases that served."""
    return {digest(entry["image"]) for entry in history.releases(entries)[-KEPT:]}


def _remove(site: Site, image: str) -> bool:
    bundle = release.bundle_of(site, image)
    if not bundle.is_dir():
        return False
    with contextlib.suppress(Failure):  # a container that was kept for its logs may still use it
        site.runner.change(commands.remove_image(image))
    try:
        if not site.runner.dry:
            static.forget(site, bundle)  # first: killed in between, the next prune finds the bundle, and does both
            files.remove(bundle)
    except OSError as error:
        say(f"  {bundle} stays: {error}")
        return False
    return True
