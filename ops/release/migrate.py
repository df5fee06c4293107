"""The step that applies a release's migrations, once, as the schema's owner, while the previous release runs."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ops.docker import commands
from ops.docker.compose import BACKUP_COMMAND, Argv
from ops.errors import OpsError, PreconditionError
from ops.release.deployment import Deployment

FLASK = ("flask", "--app", "wsgi")
MIGRATE_SECONDS = 3600  # each statement has its own timeout; this one ends what hangs outside the database
ASSUMED = '[{"revision": "pending", "title": "", "contract": false}]'  # in a dry run


def run(deployment: Deployment) -> str:
    """Apply pending migrations; raises PreconditionError for a contract step without --allow-contract."""
    server, image = deployment.server, deployment.release.image
    steps = pending(server.runner.execute(_in_release(deployment, "schema", "pending"), assumed=ASSUMED))
    contracts = [step["revision"] for step in steps if step["contract"]]
    if contracts and not deployment.request.allow_contract:
        raise PreconditionError(
            f"Contract steps are pending: {_titles(steps)}. They remove what the active release may use, and there is "
            "no rollback past them. If that release no longer needs it: deploy … --allow-contract"
        )
    if steps:
        deployment.record("begun", migrations=[step["revision"] for step in steps], contract=contracts)
        with contextlib.suppress(OpsError):  # no backup service runs yet on a new server
            # A dump holds a lock on every table, for which a migration would wait.
            server.runner.execute(server.compose.exec_in("backup", *BACKUP_COMMAND, "release-locks"))
        server.runner.execute(_in_release(deployment, "db", "upgrade"), timeout=MIGRATE_SECONDS)
    server.runner.execute(commands.tag(image, f"{server.name}:migrate"))
    return f"{len(steps)} applied" if steps else "none pending"


def _in_release(deployment: Deployment, *command: str) -> Argv:
    compose = deployment.server.with_file(deployment.release.file).compose
    return compose.migrate(deployment.release.image, *FLASK, *command)


def pending(output: str) -> list[dict[str, Any]]:
    """Parse the pending migrations that the release printed."""
    try:
        steps: list[dict[str, Any]] = json.loads(output) if output.strip() else []
    except ValueError as error:
        raise OpsError(f"`flask schema pending` of the release printed no list: {output.strip()[:300]}") from error
    return steps


def _titles(steps: list[dict[str, Any]]) -> str:
    return ", ".join(f"{step['revision']} ({step['title']})" for step in steps if step["contract"])
