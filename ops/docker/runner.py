"""Runs commands. A dry run executes queries and prints every change instead."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any, Callable, TypeVar

from ops.docker.compose import Argv
from ops.errors import OpsError
from ops.progress import echo

T = TypeVar("T")
LAST_LINES = 25  # of the output, in an error


@dataclass
class Runner:
    """Runs commands. Children inherit the descriptors in `inherit`, so that they hold the lock of a killed parent."""

    is_dry_run: bool = False
    inherit: tuple[int, ...] = ()

    def query(self, argv: Argv, timeout: float = 60) -> str:
        """Return the output of a command that changes nothing; raises OpsError."""
        return self._run(argv, timeout)

    def query_json(self, argv: Argv, assumed: Any = None) -> Any:
        """Return the JSON output of a query; a dry run returns ASSUMED where an omitted change makes it fail."""
        try:
            return json.loads(self.query(argv))
        except OpsError:
            if self.is_dry_run and assumed is not None:
                return assumed
            raise

    def try_run(self, argv: Argv, timeout: float = 60) -> str:
        """Return everything that a query printed, even if it failed."""
        try:
            done = self._start(argv, timeout, merge=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return str(done.stdout)

    def execute(self, argv: Argv, timeout: float = 180, assumed: str = "") -> str:
        """Run a command that changes something; a dry run prints it and returns ASSUMED. Raises OpsError."""
        if self.is_dry_run:
            echo(f"    would run: {shlex.join(argv)}")
            return assumed
        return self._run(argv, timeout)

    def call(self, description: str, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call a function that makes or checks a change; a dry run prints the description, if any, instead."""
        if not self.is_dry_run:
            return function(*arguments)
        if description:
            echo(f"    would {description}")
        return None

    def _run(self, argv: Argv, timeout: float) -> str:
        try:
            done = self._start(argv, timeout)
        except FileNotFoundError as error:
            raise OpsError(f"{argv[0]} is not installed, or not on the PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise OpsError(f"{shlex.join(argv)}\ntimed out after {timeout:.0f} s.") from error
        if done.returncode:
            raise OpsError(f"{shlex.join(argv)}\nexited with {done.returncode}:\n{_last(done.stdout + done.stderr)}")
        return str(done.stdout)

    def _start(self, argv: Argv, timeout: float, *, merge: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            pass_fds=self.inherit,
        )


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
