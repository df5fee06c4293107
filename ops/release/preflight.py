"""The step that checks the server before anything changes, and starts the stateful services."""

from __future__ import annotations

from pathlib import Path

from ops.docker.compose import OPTIONAL, STATEFUL
from ops.errors import PreconditionError
from ops.release.bundle import try_execute
from ops.release.deployment import Deployment
from ops.server import Server, check, disk, drift

START_SECONDS = 900  # a new server pulls images first


def run(deployment: Deployment) -> str:
    """Check the server and the release's production check; return warnings."""
    notes = prepare(deployment.server), check.check(deployment.server, deployment.release)
    return "; ".join(note for note in notes if note)


def prepare(server: Server) -> str:
    """Start the stateful services and return warnings; raises PreconditionError if a release cannot begin."""
    require_secrets(server)
    disk.require_free(server)
    server.runner.execute(server.compose.start_stateful(*stateful_services(server)), timeout=START_SECONDS)
    notes = [update_roles(server), drift.report(server)]
    if server.config["services"]["db"].get("environment", {}).get("SYNCHRONOUS_ARCHIVE") == "on":
        # Without the WAL receiver no migration would commit.
        notes.append(try_execute(server, server.compose.start_sidecars("wal-receiver")))
    return "; ".join(note for note in notes if note)


def stateful_services(server: Server) -> list[str]:
    """Return the services that a deploy does not replace; .env enables the optional ones."""
    return [*(name for name in OPTIONAL if name in server.config["services"]), *STATEFUL]


def update_roles(server: Server) -> str:
    """Update the passwords and rights of the database's roles; a failure is a warning, since they worked before."""
    error = try_execute(server, server.compose.exec_in("db", "bash", "/opt/postgres/roles.sh"))
    return f"the database's roles are not up to date: {error}" if error else ""


def require_secrets(server: Server) -> None:
    """Raise PreconditionError unless every secret file of the Compose file exists."""
    files = [Path(secret["file"]) for secret in server.config["secrets"].values()]
    missing = sorted(str(file.relative_to(server.folder)) for file in files if not file.exists())
    if missing:
        raise PreconditionError(f"Missing: {', '.join(missing)}. Create them: python3 -m ops init")
