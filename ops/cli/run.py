"""Commands that do more than call one function: deploy and canary fetch the release first; logs becomes Compose."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from ops.cli import forced_command
from ops.progress import echo
from ops.release import deploy, fetch
from ops.release.deployment import CanaryPolicy, DeployRequest
from ops.server import Server


def run_deploy(server: Server, options: Namespace) -> None:
    """Deploy a release, with a canary first if requested."""
    policy = CanaryPolicy(options.canary, options.watch, options.budget) if options.canary else None
    deploy.deploy(server, fetch_request(server, options, policy))


def run_canary(server: Server, options: Namespace) -> None:
    """Start a canary."""
    policy = CanaryPolicy(options.percent, options.watch, options.budget)
    deploy.canary(server, fetch_request(server, options, policy))


def fetch_request(server: Server, options: Namespace, policy: CanaryPolicy | None) -> DeployRequest:
    """Return the request for a fetched release.

    The first process fetches it and is replaced by the release's own ops, which gets `--lock-fd` and returns here.
    """
    image = fetch.require_digest(options.image)
    if options.lock_fd is None:
        echo(f"{options.command} {image}")
        if options.is_forced:
            forced_command.require_trusted(server, image)
        fetch.fetch_and_continue(server, image, options.argv)
    return DeployRequest(image, options.release, options.allow_contract, options.timeout, policy)


def run_logs(server: Server, options: Namespace) -> None:
    """Replace this process with `docker compose logs`."""
    follow = ["--follow"] if options.follow else []
    command = server.compose.logs("--tail", str(options.tail), *follow, *options.service)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - no shell
