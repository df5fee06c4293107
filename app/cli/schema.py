"""flask schema: which migrations this release would apply, for the tool that deploys it."""

import json
from typing import Any

import click
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app import migration_state


@click.group()
def schema() -> None:
    """Compare the database's schema with this release."""


@schema.command()
@with_appcontext
def pending() -> None:
    """Print the migrations that the database lacks, as one JSON array, in the order in which they would run.

    Each is an object: {"revision": "…", "contract": false, "title": "…"}. A contract step takes away or forbids
    what the release before it uses; only the others may run while that release serves. The array is empty when
    nothing is missing, and also when the database is ahead of this release, where `flask db upgrade` does nothing.
    """
    scripts = ScriptDirectory(str(migration_state.DIRECTORY))
    try:
        with _connect(current_app.config["MIGRATION_DATABASE_URL"]) as connection:
            applied = set(MigrationContext.configure(connection).get_current_heads())
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise click.ClickException(
            f"the database cannot be read ({reason}); is MIGRATION_DATABASE_URL right?"
        ) from error
    click.echo(json.dumps([describe(script) for script in missing(scripts, applied)]))


def missing(scripts: ScriptDirectory, applied: set[str]) -> list[Script]:
    """Return the migrations that come after the applied ones; none where one that is unknown here was applied."""
    if applied - {script.revision for script in scripts.walk_revisions()}:
        return []
    return list(scripts.iterate_revisions("heads", tuple(applied), implicit_base=True))[::-1]


def describe(script: Script) -> dict[str, Any]:
    """Return what a release must know of a migration; it expands the schema unless its module says otherwise."""
    return {
        "revision": script.revision,
        "contract": bool(getattr(script.module, "contract", False)),
        "title": script.doc,
    }


def _connect(url: URL) -> Connection:
    limits = {"connect_timeout": 5} if url.get_backend_name() == "postgresql" else {}
    return create_engine(url, poolclass=NullPool, connect_args=limits).connect()
