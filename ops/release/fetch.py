"""Fetches a release: pulls the image by digest, verifies its signature, unpacks its bundle.

The release's own ops then continues the deploy, so that it always fits the Compose file beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from ops.docker import commands
from ops.errors import OpsError, PreconditionError
from ops.lock import locked
from ops.progress import step
from ops.release.bundle import bundle_of
from ops.server import FILE, Server, disk

DIGEST = re.compile(r"[a-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}")
LOCK_SECONDS = 120
PULL_SECONDS = 600


def require_digest(image: str) -> str:
    """Return the image; raises PreconditionError for a tag, which may name another image tomorrow."""
    if not DIGEST.fullmatch(image):
        raise PreconditionError(f"{image!r} has no digest. Use NAME@sha256:…, which always names the same image.")
    return image


def fetch_and_continue(server: Server, image: str, arguments: list[str]) -> None:
    """Fetch a release and replace this process with its ops, which inherits the lock; a dry run returns."""
    if not server.state.is_dir():
        raise PreconditionError(f"{server.folder} is not set up. Run there: python3 -m ops init --host NAME")
    disk.require_free(server)
    with locked(server.lock_file, f"deploy of {image}", LOCK_SECONDS) as descriptor:
        server.runner.inherit = (descriptor,)
        bundle = fetch(server, image)
        server.runner.call(f"continue with {bundle}/ops", continue_in, bundle, server.folder, descriptor, arguments)


def continue_in(bundle: Path, folder: Path, descriptor: int, arguments: list[str]) -> None:
    """Replace this process with the bundle's ops; options hand over the server's folder and the lock."""
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - a positional argument of the standard library
    os.chdir(bundle)
    handover = ["--folder", str(folder), "--lock-fd", str(descriptor)]
    os.execv(sys.executable, [sys.executable, "-m", "ops", *handover, *arguments])  # noqa: S606 - no shell


def fetch(server: Server, image: str) -> Path:
    """Pull an image, verify its signature if there is a key, and return its unpacked bundle."""
    key = signing_key(server)
    with step("pull"):
        server.runner.execute(commands.pull(image), timeout=PULL_SECONDS)
    if key:
        with step("signature"):
            server.runner.execute(commands.verify_signature(image, key), timeout=60)
    with step("unpack"):
        return unpack(server, image)


def signing_key(server: Server) -> Path | None:
    """Return the key that verifies signatures, or None; an inaccessible key raises OSError instead."""
    key = server.folder / "secrets" / "cosign.pub"
    try:
        os.lstat(key)
    except FileNotFoundError:
        return None
    return key


def unpack(server: Server, image: str) -> Path:
    """Copy the bundle out of an image, atomically.

    An existing bundle stays: a digest never changes, and nginx may be running on it.
    """
    target = bundle_of(server, image)
    if target.is_dir():
        return target
    new = target.with_suffix(".new")
    server.runner.call("", _make_empty, new)
    container = server.runner.execute(commands.create(image, server.name), assumed="CONTAINER").strip()
    try:
        server.runner.execute(commands.copy_bundle(container, new))
    except OpsError as error:
        raise PreconditionError(f"{image} has no bundle in /srv/bundle.\n{error}") from error
    finally:
        server.runner.execute(commands.remove_containers([container]))
    server.runner.call("", _accept, image, new, target)
    return target


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _accept(image: str, new: Path, target: Path) -> None:
    if not (new / FILE).exists() or not (new / "ops" / "__main__.py").exists():
        raise PreconditionError(f"{image} has no bundle in /srv/bundle: this project's Dockerfile did not build it.")
    new.replace(target)
