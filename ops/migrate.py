"""The schema goes first: a release's migrations run once, by the schema's owner, while the old code serves."""

from __future__ import annotations

import json
from typing import Any

from ops import commands
from ops.commands import BACKUP
from ops.errors import Failure, Refusal
from ops.operation import Operation, record
from ops.release import Release

FLASK = ("flask", "--app", "wsgi")
MIGRATE_SECONDS = 3600  # each statement has a limit of its own; this ends what hangs outside the database


def migrate(current: Operation, found: Release, *, allow_contract: bool) -> str:
    """Apply the migrations that the database lacks; raises Refusal for a contract step that nobody allowed."""
    site = current.site
    compose = site.with_file(found.file).compose if not site.runner.dry else site.compose
    steps = pending(site.runner.change(compose.migrate(found.image, *FLASK, "schema", "pending")))
    contracts = [step["revision"] for step in steps if step["contract"]]
    if contracts and not allow_contract:
        raise Refusal(
            f"Contract steps are pending: {_titles(steps)}. They take away what the release that serves may use, and "
            "there is no rollback past them. If that release no longer needs it: deploy … --allow-contract"
        )
    if steps:
        revisions = [step["revision"] for step in steps]
        record(site, current.state, "begun", migrations=revisions, contract=contracts)
        site.runner.tell(site.compose.beside("backup", *BACKUP, "give-way"))  # a dump would keep every table's lock
    if steps or site.runner.dry:
        site.runner.change(compose.migrate(found.image, *FLASK, "db", "upgrade"), timeout=MIGRATE_SECONDS)
    site.runner.change(commands.tag(found.image, f"{site.name}:migrate"))
    return f"{len(steps)} applied" if steps else "none pending"


def pending(output: str) -> list[dict[str, Any]]:
    """Read the migrations that are still to be applied from what the release printed."""
    try:
        steps: list[dict[str, Any]] = json.loads(output) if output.strip() else []
    except ValueError as error:
        raise Failure(f"`flask schema pending` of the release did not print a list: {output.strip()[:300]}") from error
    return steps


def _titles(steps: list[dict[str, Any]]) -> str:
    return ", ".join(f"{step['revision']} ({step['title']})" for step in steps if step["contract"])
