"""Find schema changes that break the release which still uses the old schema; each problem is one sentence or two."""

from collections.abc import Iterator

from .snapshot import Column, Constraint, Relation, Snapshot

CONTRACT = "a migration with `contract = True`"
EXPAND_FIRST = f"Expand first: deploy a release that does not use it, then drop it in {CONTRACT}."
KINDS = {"c": "check", "f": "foreign key", "x": "exclusion", "u": "unique"}
NOUNS = {"v": "view", "m": "materialized view", "c": "type"}


def find_breaking_changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the problems that code written for the schema BEFORE has with the schema AFTER."""
    return [*_relations(before, after), *_enum_values(before, after), *_other_privileges(before, after)]


def _relations(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for name, old in before.relations.items():
        new = after.relations.get(name)
        if new is None:
            yield _missing(old, after)
        elif new.kind != old.kind:
            yield f"{_noun(old)} {name} becomes another kind of relation. {EXPAND_FIRST}"
        else:
            yield from _columns(old, new)
            yield from _constraints(old, new)
            yield from _access(old, new)
            if old.oid == new.oid and old.filenode != new.filenode:
                yield _rewritten(old)


def _rewritten(relation: Relation) -> str:
    remedy = (
        "REFRESH it CONCURRENTLY."
        if relation.kind == "m"
        else "Add the column without the default or type that requires it and backfill it in batches; do not use "
        "TRUNCATE, CLUSTER or VACUUM FULL."
    )
    return f"{_noun(relation)} {relation.name} is rewritten, which blocks all readers. {remedy}"


def _missing(old: Relation, after: Snapshot) -> str:
    renamed = [relation.name for relation in after.relations.values() if relation.oid == old.oid]
    change = f"is renamed to {renamed[0]}" if renamed else "is dropped"
    return f"{_noun(old)} {old.name} {change}, but the old release still uses it. {EXPAND_FIRST}"


def _noun(relation: Relation) -> str:
    return NOUNS.get(relation.kind, "table")


def _columns(old: Relation, new: Relation) -> Iterator[str]:
    for name, column in old.columns.items():
        if name in new.columns:
            yield from _changes(f"column {old.name}.{name}", column, new.columns[name])
        else:
            renamed = [other.name for other in new.columns.values() if other.number == column.number]
            change = f"is renamed to {renamed[0]}" if renamed and old.oid == new.oid else "is dropped"
            yield f"column {old.name}.{name} {change}, but the old release still uses it. {EXPAND_FIRST}"
    for name in new.columns.keys() - old.columns.keys():
        if new.columns[name].not_null and not new.columns[name].has_default:
            yield (
                f"column {new.name}.{name} is new, NOT NULL and has no default, so the old release cannot insert rows. "
                f"Give it a server_default, or allow NULL until {CONTRACT}."
            )


def _changes(where: str, old: Column, new: Column) -> Iterator[str]:
    if old.type != new.type:
        yield (
            f"{where} changes its type from {old.type} to {new.type}. Expand first: add a column of the new type, "
            f"deploy a release that writes both, then drop the old one in {CONTRACT}."
        )
    if new.not_null and not old.not_null:
        yield (
            f"{where} becomes NOT NULL, but the old release may write NULL. Deploy a release that never does, then set "
            f"it in {CONTRACT}."
        )
    if new.not_null and old.has_default and not new.has_default:
        yield f"{where} loses its default, but the old release relies on it. {EXPAND_FIRST}"


def _constraints(old: Relation, new: Relation) -> Iterator[str]:
    existing = {constraint.definition for constraint in old.constraints}
    for constraint in new.constraints:
        if constraint.definition not in existing and not _satisfied_by_old_code(constraint, old, new):
            yield (
                f"table {new.name} gets the constraint {constraint.name} ({KINDS[constraint.kind]}), which the old "
                f"release may violate. Deploy a release that satisfies it, then add it in {CONTRACT}."
            )
    remaining = {constraint.definition for constraint in new.constraints}
    for constraint in old.constraints:
        if (
            constraint.kind == "u"
            and constraint.definition not in remaining
            and constraint.columns <= new.columns.keys()
        ):
            yield (
                f"table {old.name} loses the constraint {constraint.name} ({KINDS[constraint.kind]}), but ON CONFLICT "
                f"in the old release needs it. {EXPAND_FIRST}"
            )


def _satisfied_by_old_code(constraint: Constraint, old: Relation, new: Relation) -> bool:
    """Whether code that does not know the new columns cannot violate the constraint.

    It leaves them NULL or at their default. A row with a NULL is never a duplicate and references nothing, and a check
    of new columns alone must accept their own defaults.
    """
    added = constraint.columns - old.columns.keys()
    if constraint.kind == "c":
        return bool(added) and added == constraint.columns
    nullable = any(not (new.columns[name].not_null or new.columns[name].has_default) for name in added)
    return constraint.kind in "fu" and nullable


def _enum_values(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for kind, value in sorted(before.enum_values - after.enum_values):
        yield f"type {kind} loses the value {value!r}, but the old release still uses it. {EXPAND_FIRST}"


def _access(old: Relation, new: Relation) -> Iterator[str]:
    what = f"{_noun(old)} {old.name}"
    for (role, privilege), columns in sorted(old.privileges.items()):
        lost = (columns & new.columns.keys()) - new.privileges.get((role, privilege), frozenset())
        if lost:
            where = "" if lost == old.columns.keys() else f" ({', '.join(sorted(lost))})"
            yield f"{what}: role {role} loses {privilege}{where}, but the old release may use it. {EXPAND_FIRST}"
    for row_filter in sorted(new.row_filters - old.row_filters):
        yield (
            f"{what} gets {row_filter}, which changes the rows that the old release reads or writes. "
            f"Deploy a release that expects it, then add it in {CONTRACT}."
        )


def _other_privileges(before: Snapshot, after: Snapshot) -> Iterator[str]:
    lost = before.other_privileges - after.other_privileges
    for item in sorted({item for _, item in lost}):
        roles = ", ".join(sorted(role for role, other in lost if other == item))
        yield f"{item} is no longer usable by {roles}, but the old release may use it. {EXPAND_FIRST}"
