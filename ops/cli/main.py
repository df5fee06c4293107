"""Runs one command and returns its exit code."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ops.cli import forced_command
from ops.cli.parser import parser
from ops.docker.runner import Runner
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import echo
from ops.server import FILE, Server


def main(arguments: list[str]) -> int:
    """Return 0 if the command did what it promises, 1 if it failed, 2 if it did not begin."""
    began = time.monotonic()
    try:
        return run(arguments)
    except PreconditionError as error:
        echo(f"Refused: {error}")
        return 2
    except OpsError as error:
        echo(f"Failed after {time.monotonic() - began:.1f} s: {error}")
        return 1
    except OSError as error:
        echo(f"Failed after {time.monotonic() - began:.1f} s: {type(error).__name__}: {error}")
        return 1
    except (Interrupted, KeyboardInterrupt) as error:
        echo(f"Interrupted: {error}")
        return 1


def run(arguments: list[str]) -> int:
    """Parse the arguments, or those of the deploy key's client, and run the command in the server's folder."""
    is_forced = arguments == ["forced-command"]
    argv = forced_command.arguments(os.environ.get("SSH_ORIGINAL_COMMAND")) if is_forced else arguments
    options = parser().parse_args(argv)
    options.argv, options.is_forced = argv, is_forced
    folder = options.folder or Path.cwd()
    if not (folder / FILE).exists() and options.lock_fd is None:
        raise PreconditionError(f"{folder} has no {FILE}. Run this in the server's folder.")
    runner = Runner(is_dry_run=getattr(options, "dry_run", False))
    server = Server(folder, runner, Path.cwd() / FILE, options.lock_fd)
    return options.run(server, options) or 0
