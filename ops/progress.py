"""Output: a line for each step with its duration; and polling with a deadline."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Callable, TypeVar

from ops.errors import OpsError

T = TypeVar("T")


def echo(text: str) -> None:
    """Print a line. A closed output, such as a lost SSH connection, stops nothing."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - a command line


class Report:
    """The output of a step; `note` is printed at its end."""

    note = ""


@contextlib.contextmanager
def step(name: str) -> Iterator[Report]:
    """Print the beginning and the duration of a step."""
    began, report = time.monotonic(), Report()
    echo(f"  {name} …")
    yield report
    note = f"  {report.note}" if report.note else ""
    echo(f"  {name} done in {time.monotonic() - began:.1f} s{note}")


def wait_for(probe: Callable[[], tuple[T | None, str]], seconds: float, failure: str, pause: float = 0.1) -> T:
    """Return the first value that PROBE returns; raises OpsError with its last observation after SECONDS.

    PROBE returns a value or None, and what it observed. The pause between two calls grows up to half a second.
    """
    deadline = time.monotonic() + seconds
    while True:
        value, observed = probe()
        if value is not None:
            return value
        if time.monotonic() + pause > deadline:
            raise OpsError(f"{failure} within {seconds:.0f} s. Last seen: {observed}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.5)


def wait_for_consecutive(probe: Callable[[], tuple[bool, str]], times: int, seconds: float, failure: str) -> None:
    """Return after PROBE succeeded TIMES in a row; raises OpsError with its last observation after SECONDS."""
    deadline, row = time.monotonic() + seconds, 0
    while row < times:
        succeeded, observed = probe()
        row = row + 1 if succeeded else 0
        if not succeeded and time.monotonic() > deadline:
            raise OpsError(f"{failure} within {seconds:.0f} s. Last seen: {observed}")
        time.sleep(0.02)
