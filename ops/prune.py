"""Takes away the images and bundles of old releases; the last five stay, and nothing that is not ours is touched."""

from __future__ import annotations

import contextlib
import shutil

from ops import commands, history, release
from ops.errors import Failure
from ops.progress import step
from ops.site import Site

KEPT = 5


def prune(site: Site) -> None:
    """Remove what was brought here by releases before the last five."""
    entries = history.entries(site.history_file)
    kept = kept_images(entries)
    old = list(dict.fromkeys(entry["image"] for entry in entries if entry["image"] not in kept))
    with step("prune") as current:
        removed = [image for image in old if _remove(site, image)]
        current.note = f"{len(removed)} removed, {len(kept)} kept"


def kept_images(entries: list[history.Entry]) -> set[str]:
    """Return the images of the last releases that served."""
    return {entry["image"] for entry in history.releases(entries)[-KEPT:]}


def _remove(site: Site, image: str) -> bool:
    bundle = release.bundle_of(site, image)
    if not bundle.is_dir():
        return False
    with contextlib.suppress(Failure):  # a container that was kept for its logs may still use it
        site.runner.change(commands.remove_image(image))
    if not site.runner.dry:
        shutil.rmtree(bundle)
    return True
