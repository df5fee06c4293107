"""Compare the database's schema with this release: current and ahead are usable; behind, diverged, contracted are not.

Alembic's own table stores only the newest revision, so it cannot tell what preceded a revision that this code does
not know. `applied_migrations`, which migrations/env.py maintains, can.
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

Revisions = Mapping[str, frozenset[str]]  # oldest first, each with its direct predecessors


class SchemaBehindError(Exception):
    """The database lacks migrations that this release needs; `flask db upgrade` applies them."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"the schema is behind this release: {', '.join(missing)} not applied")
        self.missing = missing


class SchemaIncompatibleError(Exception):
    """The schema does not fit this release, and none of its migrations can change that."""


class SchemaDivergedError(SchemaIncompatibleError):
    """Migrations of this release are missing, but others were applied in their place."""

    def __init__(self, missing: list[str], instead: list[str], why: str) -> None:
        ours, others = ", ".join(missing), ", ".join(instead)
        super().__init__(
            f"the schema has diverged from this release: {others} applied, which this release {why}, and {ours} not "
            f"applied; build a release that puts {ours} after {others} (down_revision), or revert {others} with a "
            "release that has it (flask db downgrade)"
        )


class SchemaContractedError(SchemaIncompatibleError):
    """A newer release has dropped something that this one may use: it may continue to serve, but must not start."""

    def __init__(self, contracts: list[str]) -> None:
        steps = ", ".join(contracts)
        super().__init__(
            f"the schema is past this release: a newer one has applied the contract step {steps}, which removes what "
            f"this one may use; deploy a release that contains {steps}"
        )


def compare(connection: Connection, ours: Revisions | None = None) -> str:
    """Return "current" or "ahead"; raise SchemaBehindError or SchemaIncompatibleError when this code must not serve.

    A newer release has applied the revisions that this code does not know. While two releases run, migrations only
    expand the schema, so the older code keeps working and must stay ready.
    """
    ours = known_revisions() if ours is None else ours
    applied = applied_revisions(connection, ours)
    missing = [revision for revision in ours if revision not in applied]
    unknown = sorted(applied.keys() - ours.keys())
    if missing and unknown:
        raise SchemaDivergedError(missing, unknown, "does not know")
    if later := [revision for revision, before in ours.items() if revision in applied and before - applied.keys()]:
        raise SchemaDivergedError(missing, later, "orders later")
    if missing:
        raise SchemaBehindError(missing)
    if contracts := [revision for revision in unknown if applied[revision]]:
        raise SchemaContractedError(contracts)
    return "ahead" if unknown else "current"


def applied_revisions(connection: Connection, ours: Revisions) -> dict[str, bool]:
    """Return the applied revisions, each with whether it is a contract step.

    Without the table, only releases older than the table have migrated this database: the newest revision implies the
    others.
    """
    if inspect(connection).has_table(APPLIED.name):
        return {row.revision: row.contract for row in connection.execute(select(APPLIED))}
    return dict.fromkeys(with_ancestors(MigrationContext.configure(connection).get_current_heads(), ours), False)


def with_ancestors(heads: Iterable[str], ours: Revisions) -> set[str]:
    """Return these revisions and all of their known predecessors."""
    revisions: set[str] = set()
    queue = list(heads)
    while queue:
        revision = queue.pop()
        if revision not in revisions:
            revisions.add(revision)
            queue.extend(ours.get(revision, ()))
    return revisions


def known_revisions(scripts: ScriptDirectory | None = None) -> Revisions:
    """Return the revisions of SCRIPTS, by default this release's."""
    return _revisions(scripts) if scripts else _revisions_in(DIRECTORY)


def is_contract(script: Script) -> bool:
    """Whether a migration drops something that the previous release uses, or adds a constraint that it may violate."""
    return bool(getattr(script.module, "contract", False))


@cache
def _revisions_in(directory: Path) -> Revisions:
    return _revisions(ScriptDirectory(str(directory)))


def _revisions(scripts: ScriptDirectory) -> Revisions:
    return {
        script.revision: frozenset(to_tuple(script.down_revision, default=()))
        for script in list(scripts.walk_revisions())[::-1]
    }
