"""Carries commands out. A dry run carries out those that only look, and prints the others."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

from ops.docker.compose import Argv
from ops.errors import OpsError
from ops.progress import echo

LAST = 25  # lines of output that an error shows


@dataclass
class Runner:
    """Runs commands; children keep `inherit` open, so that a lock held on it outlives a killed parent with them."""

    dry: bool = False
    inherit: tuple[int, ...] = ()

    def query(self, argv: Argv, timeout: float = 60) -> str:
        """Run a command that changes nothing and return what it printed; raises OpsError."""
        return self._run(argv, timeout)

    def query_json(self, argv: Argv) -> Any:
        """Return the JSON that a command printed."""
        return json.loads(self.query(argv))

    def try_run(self, argv: Argv, timeout: float = 60) -> str:
        """Return all that a command printed, its errors and its failing included."""
        try:
            done = self._start(argv, timeout, merge=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return str(done.stdout)

    def execute(self, argv: Argv, timeout: float = 180) -> str:
        """Run a command that changes something; in a dry run print it instead. Raises OpsError."""
        if self.dry:
            echo(f"    would run: {shlex.join(argv)}")
            return ""
        return self._run(argv, timeout)

    def _run(self, argv: Argv, timeout: float) -> str:
        try:
            done = self._start(argv, timeout)
        except FileNotFoundError as error:
            raise OpsError(f"{argv[0]} is not installed, or not on the PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise OpsError(f"{shlex.join(argv)}\nwas not done after {timeout:.0f} s.") from error
        if done.returncode:
            raise OpsError(f"{shlex.join(argv)}\nended with {done.returncode}:\n{_last(done.stdout + done.stderr)}")
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
    return "\n".join(f"    {line}" for line in lines[-LAST:])
