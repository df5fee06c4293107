"""A line for each step, with the time that it took; and a wait that has a deadline and says what it last saw."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Callable, TypeVar

from ops.errors import OpsError

T = TypeVar("T")


def echo(text: str) -> None:
    """Print a line. A reader that has gone away, such as a lost SSH connection, stops nothing."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - a command line


class Step:
    """A step under way; `note` is said at its end."""

    note = ""


@contextlib.contextmanager
def step(name: str) -> Iterator[Step]:
    """Say that a step begins, and how long it took."""
    began, current = time.monotonic(), Step()
    echo(f"  {name} …")
    yield current
    note = f"  {current.note}" if current.note else ""
    echo(f"  {name} done in {time.monotonic() - began:.1f} s{note}")


def wait_for(look: Callable[[], tuple[T | None, str]], seconds: float, what: str, pause: float = 0.1) -> T:
    """Return the first value that LOOK finds; raises OpsError with what it last saw when SECONDS are over.

    LOOK returns a value, or None, and what it saw. The pause between two looks grows up to half a second.
    """
    deadline = time.monotonic() + seconds
    while True:
        found, seen = look()
        if found is not None:
            return found
        if time.monotonic() + pause > deadline:
            raise OpsError(f"{what} within {seconds:.0f} s. Last seen: {seen}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.5)


def wait_for_consecutive(look: Callable[[], tuple[bool, str]], times: int, seconds: float, what: str) -> None:
    """Return when LOOK was content so many times in a row; raises OpsError with what it last saw after SECONDS."""
    deadline, row = time.monotonic() + seconds, 0
    while row < times:
        content, seen = look()
        row = row + 1 if content else 0
        if not content and time.monotonic() > deadline:
            raise OpsError(f"{what} within {seconds:.0f} s. Last seen: {seen}")
        time.sleep(0.02)
