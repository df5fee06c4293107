"""Whether the database's schema serves this code: behind it does not, level and ahead it does."""

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

DIRECTORY = Path(__file__).parent.parent / "migrations"


class SchemaBehindError(Exception):
    """The database lacks a migration that this code needs; `flask db upgrade` applies it."""


def compare(connection: Connection) -> str:
    """Return "current" or "ahead"; raise SchemaBehindError when a migration is missing.

    A revision that this code does not know was made by a newer release: migrations only expand the schema while
    two releases run, so the older code goes on working and must stay ready.
    """
    applied = set(MigrationContext.configure(connection).get_current_heads())
    heads, known = revisions()
    if heads <= applied:
        return "current"
    if applied - known:
        return "ahead"
    raise SchemaBehindError(f"applied: {sorted(applied)}, needed: {sorted(heads)}")


@cache
def revisions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the newest revisions of the scripts beside this code, and all of them."""
    scripts = ScriptDirectory(str(DIRECTORY))
    return frozenset(scripts.get_heads()), frozenset(script.revision for script in scripts.walk_revisions())
