"""What every level shares: where the project is, free ports, and waiting for a condition instead of sleeping."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent

T = TypeVar("T")


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], T], *, seconds: float = 10, pause: float = 0.05) -> T:
    """Return the condition's first true value; fail with the last it gave when SECONDS are over.

    An exception counts as a value that is not true.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            last: object = condition()
        except Exception as error:  # noqa: BLE001 - it is what was seen last
            last = error
        if last and not isinstance(last, Exception):
            return last  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last seen: {last!r}")
        time.sleep(pause)
