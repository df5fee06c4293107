"""Brings a release to the server: the image by its digest, its signature checked, its bundle unpacked.

The rest of a deploy is then done by the release's own ops, so that it always fits the compose file beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from ops.docker import commands
from ops.errors import OpsError, PreconditionError
from ops.lock import INHERITED, locked
from ops.progress import echo, step
from ops.release import colours, preflight
from ops.server import FILE, Server

DIGEST = re.compile(r"[a-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}")
FOLDER = "OPS_FOLDER"
FETCHED = "OPS_FETCHED"
LOCK_SECONDS = 120
PULL_SECONDS = 600


def by_digest(image: str) -> str:
    """Return the image's name if it names a digest; a tag may be another image tomorrow, so it is refused."""
    if not DIGEST.fullmatch(image):
        raise PreconditionError(f"{image!r} names no digest. Give NAME@sha256:…, which always means the same image.")
    return image


def fetch_and_continue(server: Server, image: str, arguments: list[str]) -> None:
    """Fetch a release, then go on as its own ops, which keeps the lock; returns only in a dry run."""
    if not server.state.is_dir():
        raise PreconditionError(f"{server.folder} is not set up. Run there: python3 -m ops init --host NAME")
    preflight.refuse_full_disk(server)
    with locked(server.lock_file, f"deploy of {image}", LOCK_SECONDS) as descriptor:
        server.runner.inherit = (descriptor,)
        bundle = fetch(server, image)
        if server.runner.dry:
            echo(f"    would go on as: {bundle}/ops")
            return
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - no keyword there
        environment = {**os.environ, INHERITED: str(descriptor), FOLDER: str(server.folder), FETCHED: image}
        os.chdir(bundle)
        os.execve(sys.executable, [sys.executable, "-m", "ops", *arguments], environment)  # noqa: S606 - no shell


def fetch(server: Server, image: str) -> Path:
    """Pull an image, check its signature if there is a key to check it with, and unpack its bundle."""
    key = signing_key(server)
    with step("pull"):
        server.runner.execute(commands.pull(image), timeout=PULL_SECONDS)
    if key:
        with step("signature"):
            server.runner.execute(commands.verify_signature(image, key), timeout=60)
    with step("unpack"):
        return unpack(server, image)


def signing_key(server: Server) -> Path | None:
    """Return the key to check signatures with; None if there is none, and not merely because it cannot be seen."""
    key = server.folder / "secrets" / "cosign.pub"
    try:
        os.lstat(key)
    except FileNotFoundError:
        return None
    return key


def unpack(server: Server, image: str) -> Path:
    """Copy the bundle out of an image, into a folder of the release's own, whole or not at all.

    One that is there is kept: a digest never means anything else, and nginx may be running on that very bundle.
    """
    target = colours.bundle_of(server, image)
    if target.is_dir():
        return target
    container = server.runner.execute(commands.create(image, server.name)).strip()
    new = target.with_suffix(".new")
    if not server.runner.dry:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    try:
        server.runner.execute(commands.copy_bundle(container, new))
    except OpsError as failure:
        raise PreconditionError(f"{image} carries no bundle in /srv/bundle.\n{failure}") from failure
    finally:
        server.runner.execute(commands.remove_containers([container]))
    if server.runner.dry:
        return target
    if not (new / FILE).exists() or not (new / "ops" / "__main__.py").exists():
        raise PreconditionError(
            f"{image} carries no bundle in /srv/bundle, so it was not built by this project's Dockerfile."
        )
    new.replace(target)
    return target
