"""One command at a time.

The kernel gives the lock back when its holder and all its children have ended, even by kill -9.
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

INHERITED = "OPS_LOCK"  # the descriptor, when ops of the next release takes over


@contextlib.contextmanager
def locked(path: Path, purpose: str, seconds: float) -> Iterator[int]:
    """Hold the lock, and say in its file who does; raises PreconditionError when another holds it for SECONDS."""
    descriptor = _inherited() or os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, seconds)
        _sign(descriptor, purpose)
        yield descriptor
        _sign(descriptor, "")
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    """Return who holds the lock, "" when nobody does."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except OSError:
        return path.read_text(encoding="utf-8").strip() or "somebody who has only just begun"
    return ""


def _inherited() -> int | None:
    number = os.environ.pop(INHERITED, "")
    return int(number) if number else None


def _acquire(descriptor: int, path: Path, seconds: float) -> None:
    deadline, told = time.monotonic() + seconds, False
    while not _taken(descriptor):
        if time.monotonic() > deadline:
            raise PreconditionError(f"Locked by {holder(path)}. Try again when that has ended.")
        if not told:
            echo(f"  waiting up to {seconds:.0f} s for {holder(path)}")
            told = True
        time.sleep(0.2)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, purpose: str) -> None:
    os.ftruncate(descriptor, 0)
    if purpose:
        since = time.strftime("%H:%M:%S", time.gmtime())
        os.pwrite(descriptor, f"{purpose} (process {os.getpid()}, by {who()}, since {since} UTC)".encode(), 0)


def who() -> str:
    """Return who runs this: the user, and where an SSH connection comes from."""
    name = os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}"
    origin = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {origin}" if origin else name
