"""Whether the database's schema serves this code: level and ahead it does; behind, parted or past a contract step not.

Alembic's own table holds the newest revision alone. Of one that this code does not know it cannot tell what came
before; `applied_migrations` can, and migrations/env.py keeps it.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple
from sqlalchemy import Boolean, Connection, String, column, inspect, select, table

DIRECTORY = Path(__file__).parent.parent.parent / "migrations"
APPLIED = table("applied_migrations", column("revision", String), column("contract", Boolean))

Known = Mapping[str, frozenset[str]]  # revisions, the first one first, each with those right before it


class SchemaBehindError(Exception):
    """The database lacks migrations that this code needs; `flask db upgrade` applies them."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"the schema is behind this release: it has no record of {', '.join(missing)}")
        self.missing = missing


class SchemaUnfitError(Exception):
    """The schema does not serve this code, and no upgrade with its migrations would change that."""


class SchemaDivergedError(SchemaUnfitError):
    """Migrations of ours are missing, but others were applied where ours would come."""

    def __init__(self, missing: list[str], instead: list[str], why: str) -> None:
        ours, others = ", ".join(missing), ", ".join(instead)
        super().__init__(
            f"the schema has diverged from this release: it has {others}, which this release {why}, and no record of "
            f"{ours}; build a release that puts {ours} after {others} (down_revision), or take {others} back with one "
            "that knows how (flask db downgrade)"
        )


class SchemaContractedError(SchemaUnfitError):
    """A newer release has taken away or forbidden what this code may use: whoever serves may go on, but none begins."""

    def __init__(self, contracts: list[str]) -> None:
        steps = ", ".join(contracts)
        super().__init__(
            f"the schema is past this release: it has {steps}, which a newer one marked as taking away what this one "
            f"may use; deploy a release that knows {steps}"
        )


def compare(connection: Connection, ours: Known | None = None) -> str:
    """Return "current" or "ahead"; raise SchemaBehindError or SchemaUnfitError when this code must not serve.

    A revision that this code does not know was applied by a newer release. While two releases run, migrations only
    expand the schema, so the older code goes on working and must stay ready.
    """
    ours = known() if ours is None else ours
    applied = applied_revisions(connection, ours)
    missing = [revision for revision in ours if revision not in applied]
    unknown = sorted(applied.keys() - ours.keys())
    if missing and unknown:
        raise SchemaDivergedError(missing, unknown, "does not know")
    if later := [revision for revision, before in ours.items() if revision in applied and before - applied.keys()]:
        raise SchemaDivergedError(missing, later, "puts later")
    if missing:
        raise SchemaBehindError(missing)
    if contracts := [revision for revision in unknown if applied[revision]]:
        raise SchemaContractedError(contracts)
    return "ahead" if unknown else "current"


def applied_revisions(connection: Connection, ours: Known) -> dict[str, bool]:
    """Return what was applied, each with whether it is a contract step.

    A database that no release with the table has migrated yet has what leads to its newest revision.
    """
    if inspect(connection).has_table(APPLIED.name):
        return {row.revision: row.contract for row in connection.execute(select(APPLIED))}
    return dict.fromkeys(leading_to(MigrationContext.configure(connection).get_current_heads(), ours), False)


def leading_to(heads: Iterable[str], ours: Known) -> set[str]:
    """Return these revisions and, as far as we know them, all that come before."""
    found: set[str] = set()
    left = list(heads)
    while left:
        revision = left.pop()
        if revision not in found:
            found.add(revision)
            left.extend(ours.get(revision, ()))
    return found


def known(scripts: ScriptDirectory | None = None) -> Known:
    """Return the revisions of the scripts, by default of those beside this code."""
    return _known(scripts) if scripts else _beside(DIRECTORY)


def is_contract(script: Script) -> bool:
    """Whether a migration takes away or forbids what the release before it uses; it expands unless it says so."""
    return bool(getattr(script.module, "contract", False))


@cache
def _beside(directory: Path) -> Known:
    return _known(ScriptDirectory(str(directory)))


def _known(scripts: ScriptDirectory) -> Known:
    return {
        script.revision: frozenset(to_tuple(script.down_revision, default=()))
        for script in list(scripts.walk_revisions())[::-1]
    }
