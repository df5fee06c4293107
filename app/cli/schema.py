"""flask schema: the migrations that this release would apply, for the deploy tool."""

import json
from typing import Any

import click
from alembic.script import Script, ScriptDirectory
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app.db import schema_state


@click.group()
def schema() -> None:
    """Compare the database's schema with this release."""


@schema.command()
@with_appcontext
def pending() -> None:
    """Print the migrations that the database lacks, in order, as a JSON array.

    Each is an object: {"revision": "…", "contract": false, "title": "…"}. A contract step drops something that the
    previous release uses, or adds a constraint that it may violate, so it must not run while that release serves. If
    the database is ahead of this release, the array is empty and `flask db upgrade` does nothing. If no upgrade leads
    to a schema that fits this release, the command fails with the reason.
    """
    scripts = ScriptDirectory(str(schema_state.DIRECTORY))
    click.echo(json.dumps([describe(scripts.get_revision(revision)) for revision in missing_revisions()]))


def missing_revisions() -> list[str]:
    """Return the revisions that an upgrade would apply, in order."""
    try:
        with _connect(current_app.config["MIGRATION_DATABASE_URL"]) as connection:
            schema_state.compare(connection)
    except schema_state.SchemaBehindError as error:
        return error.missing
    except schema_state.SchemaIncompatibleError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise click.ClickException(
            f"cannot read the database ({reason}); is MIGRATION_DATABASE_URL correct?"
        ) from error
    return []


def describe(script: Script) -> dict[str, Any]:
    """Return the JSON object for a migration."""
    return {"revision": script.revision, "contract": schema_state.is_contract(script), "title": script.doc}


def _connect(url: URL) -> Connection:
    timeout = {"connect_timeout": 5} if url.get_backend_name() == "postgresql" else {}
    return create_engine(url, poolclass=NullPool, connect_args=timeout).connect()
