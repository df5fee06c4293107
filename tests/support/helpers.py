"""Shared by all levels: the project's folder, free ports, and waiting for a condition."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent

T = TypeVar("T")


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], T], *, seconds: float = 10, pause: float = 0.05) -> T:
    """Return the condition's first true value; after SECONDS fail with its last value or exception."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            last: object = condition()
        except Exception as error:  # noqa: BLE001 - reported as the last value
            last = error
        if last and not isinstance(last, Exception):
            return last  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {seconds} s; last value: {last!r}")
        time.sleep(pause)
