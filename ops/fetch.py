"""Brings a release to the server: the image by its digest, its signature checked, its bundle unpacked.

The rest of a deploy is then done by the release's own ops, so that it always fits the compose file beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from ops import check, commands, release
from ops.errors import Failure, Refusal
from ops.lock import INHERITED, locked
from ops.progress import say, step
from ops.site import FILE, Site

DIGEST = re.compile(r"[a-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}")
FOLDER = "OPS_FOLDER"
FETCHED = "OPS_FETCHED"
LOCK_SECONDS = 120
PULL_SECONDS = 600


def by_digest(image: str) -> str:
    """Return the image's name if it names a digest; a tag may be another image tomorrow, so it is refused."""
    if not DIGEST.fullmatch(image):
        raise Refusal(f"{image!r} names no digest. Give NAME@sha256:…, which always means the same image.")
    return image


def fetch_and_continue(site: Site, image: str, arguments: list[str]) -> None:
    """Fetch a release, then go on as its own ops, which keeps the lock; returns only in a dry run."""
    if not site.state.is_dir():
        raise Refusal(f"{site.folder} is not set up. Run there: python3 -m ops init --host NAME")
    check.refuse_full_disk(site)
    with locked(site.lock_file, f"deploy of {image}", LOCK_SECONDS) as descriptor:
        site.runner.inherit = (descriptor,)
        bundle = fetch(site, image)
        if site.runner.dry:
            say(f"    would go on as: {bundle}/ops")
            return
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - no keyword there
        environment = {**os.environ, INHERITED: str(descriptor), FOLDER: str(site.folder), FETCHED: image}
        os.chdir(bundle)
        os.execve(sys.executable, [sys.executable, "-m", "ops", *arguments], environment)  # noqa: S606 - no shell


def fetch(site: Site, image: str) -> Path:
    """Pull an image, check its signature if there is a key to check it with, and unpack its bundle."""
    key = signing_key(site)
    with step("pull"):
        site.runner.change(commands.pull(image), timeout=PULL_SECONDS)
    if key:
        with step("signature"):
            site.runner.change(commands.verify_signature(image, key), timeout=60)
    with step("unpack"):
        return unpack(site, image)


def signing_key(site: Site) -> Path | None:
    """Return the key to check signatures with; None if there is none, and not merely because it cannot be seen."""
    key = site.folder / "secrets" / "cosign.pub"
    try:
        os.lstat(key)
    except FileNotFoundError:
        return None
    return key


def unpack(site: Site, image: str) -> Path:
    """Copy the bundle out of an image, into a folder of the release's own, whole or not at all.

    One that is there is kept: a digest never means anything else, and nginx may be running on that very bundle.
    """
    target = release.bundle_of(site, image)
    if target.is_dir():
        return target
    container = site.runner.change(commands.create(image, site.name)).strip()
    new = target.with_suffix(".new")
    if not site.runner.dry:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    try:
        site.runner.change(commands.copy_bundle(container, new))
    except Failure as failure:
        raise Refusal(f"{image} carries no bundle in /srv/bundle.\n{failure}") from failure
    finally:
        site.runner.change(commands.remove_containers([container]))
    if site.runner.dry:
        return target
    if not (new / FILE).exists() or not (new / "ops" / "__main__.py").exists():
        raise Refusal(f"{image} carries no bundle in /srv/bundle, so it was not built by this project's Dockerfile.")
    new.replace(target)
    return target
