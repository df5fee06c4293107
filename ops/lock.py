"""A lock that allows one command at a time.

The kernel releases it when the holder and all its children have exited, even by kill -9.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ops.errors import PreconditionError
from ops.progress import echo


@contextlib.contextmanager
def locked(path: Path, purpose: str, seconds: float, inherited: int | None = None) -> Iterator[int]:
    """Hold the lock and write the holder into its file; raises PreconditionError if another holds it for SECONDS.

    INHERITED is the descriptor of a process that held the lock and was replaced by this one.
    """
    descriptor = inherited or os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, seconds)
        _write_holder(descriptor, purpose)
        yield descriptor
        _write_holder(descriptor, "")
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    """Return the holder of the lock, or an empty text."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except OSError:
        return path.read_text(encoding="utf-8").strip() or "a command that has just started"
    return ""


def _acquire(descriptor: int, path: Path, seconds: float) -> None:
    deadline, printed = time.monotonic() + seconds, False
    while not _try_acquire(descriptor):
        if time.monotonic() > deadline:
            raise PreconditionError(f"Locked by {holder(path)}. Try again when it has ended.")
        if not printed:
            echo(f"  waiting up to {seconds:.0f} s for {holder(path)}")
            printed = True
        time.sleep(0.2)


def _try_acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(descriptor: int, purpose: str) -> None:
    os.ftruncate(descriptor, 0)
    if purpose:
        since = time.strftime("%H:%M:%S", time.gmtime())
        os.pwrite(descriptor, f"{purpose} (process {os.getpid()}, by {user()}, since {since} UTC)".encode(), 0)


def user() -> str:
    """Return the user and, over SSH, the client's address."""
    name = os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}"
    origin = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {origin}" if origin else name
