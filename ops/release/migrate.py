"""The schema goes first: a release's migrations run once, by the schema's owner, while the old code serves."""

from __future__ import annotations

import json
from typing import Any

from ops.docker import commands
from ops.docker.compose import BACKUP_COMMAND
from ops.errors import OpsError, PreconditionError
from ops.release.colours import Release
from ops.release.operation import Operation, record

FLASK = ("flask", "--app", "wsgi")
MIGRATE_SECONDS = 3600  # each statement has a limit of its own; this ends what hangs outside the database


def migrate(current: Operation, found: Release, *, allow_contract: bool) -> str:
    """Apply pending migrations; raises PreconditionError for a contract step without --allow-contract."""
    server = current.server
    compose = server.with_file(found.file).compose if not server.runner.dry else server.compose
    steps = pending(server.runner.execute(compose.migrate(found.image, *FLASK, "schema", "pending")))
    contracts = [step["revision"] for step in steps if step["contract"]]
    if contracts and not allow_contract:
        raise PreconditionError(
            f"Contract steps are pending: {_titles(steps)}. They take away what the release that serves may use, and "
            "there is no rollback past them. If that release no longer needs it: deploy … --allow-contract"
        )
    if steps:
        revisions = [step["revision"] for step in steps]
        record(server, current.state, "begun", migrations=revisions, contract=contracts)
        server.runner.try_run(
            server.compose.exec_in("backup", *BACKUP_COMMAND, "release-locks")
        )  # a dump holds a lock on every table
    if steps or server.runner.dry:
        server.runner.execute(compose.migrate(found.image, *FLASK, "db", "upgrade"), timeout=MIGRATE_SECONDS)
    server.runner.execute(commands.tag(found.image, f"{server.name}:migrate"))
    return f"{len(steps)} applied" if steps else "none pending"


def pending(output: str) -> list[dict[str, Any]]:
    """Read the migrations that are still to be applied from what the release printed."""
    try:
        steps: list[dict[str, Any]] = json.loads(output) if output.strip() else []
    except ValueError as error:
        raise OpsError(f"`flask schema pending` of the release did not print a list: {output.strip()[:300]}") from error
    return steps


def _titles(steps: list[dict[str, Any]]) -> str:
    return ", ".join(f"{step['revision']} ({step['title']})" for step in steps if step["contract"])
