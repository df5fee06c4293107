"""One-off containers, such as migrations, that a command left running."""

from __future__ import annotations

from ops.docker import commands
from ops.errors import OpsError
from ops.progress import wait_for
from ops.server import Server

REMOVE_SECONDS = 60


def remove_one_offs(server: Server) -> None:
    """Remove them all; raises OpsError if one stays."""
    if left := _left(server):
        failure = "One-off containers were not removed"
        server.runner.call(
            f"remove the containers {' '.join(left)}", wait_for, lambda: _remove(server), REMOVE_SECONDS, failure
        )


def _left(server: Server) -> list[str]:
    return server.runner.query(commands.one_offs(server.name)).split()


def _remove(server: Server) -> tuple[bool | None, str]:
    left = _left(server)
    if not left:
        return True, ""
    try:
        server.runner.execute(commands.remove_containers(left))
    except OpsError as error:  # Docker itself removes a container that has just exited
        return None, str(error)
    return None, f"{len(left)} left"
