"""What an expand step may not do to a schema that another release is using: each problem is a sentence."""

from collections.abc import Iterator

from .catalogue import Catalogue, Column, Relation, Rule

LATER = (
    "Expand first: deploy a release that does without it, and drop it afterwards in a migration with `contract = True`."
)
KINDS = {"c": "check", "f": "foreign key", "x": "exclusion", "u": "uniqueness"}
NOUNS = {"v": "view", "m": "materialized view", "c": "type"}


def compare(before: Catalogue, after: Catalogue) -> list[str]:
    """Return what code that was written for the schema BEFORE would stumble over in the one AFTER."""
    return [*_relations(before, after), *_labels(before, after), *_uses(before, after)]


def _relations(before: Catalogue, after: Catalogue) -> Iterator[str]:
    for name, old in before.relations.items():
        new = after.relations.get(name)
        if new is None:
            yield _gone(old, after)
        elif new.kind != old.kind:
            yield f"{_noun(old)} {name} is now another kind of relation. {LATER}"
        else:
            yield from _columns(old, new)
            yield from _rules(old, new)
            yield from _access(old, new)
            if old.oid == new.oid and old.file != new.file:
                yield _rewritten(old)


def _rewritten(relation: Relation) -> str:
    remedy = (
        "REFRESH it CONCURRENTLY."
        if relation.kind == "m"
        else "Add the column without the default or the type that needs this, and fill it in small steps; do without "
        "TRUNCATE, CLUSTER and VACUUM FULL."
    )
    return f"{_noun(relation)} {relation.name} is written anew, and nobody can read it meanwhile. {remedy}"


def _gone(old: Relation, after: Catalogue) -> str:
    now = [relation.name for relation in after.relations.values() if relation.oid == old.oid]
    what = f"is renamed to {now[0]}" if now else "is gone"
    return f"{_noun(old)} {old.name} {what}, and the old release still uses it. {LATER}"


def _noun(relation: Relation) -> str:
    return NOUNS.get(relation.kind, "table")


def _columns(old: Relation, new: Relation) -> Iterator[str]:
    for name, column in old.columns.items():
        if name in new.columns:
            yield from _changes(f"column {old.name}.{name}", column, new.columns[name])
        else:
            now = [other.name for other in new.columns.values() if other.number == column.number]
            what = f"is renamed to {now[0]}" if now and old.oid == new.oid else "is gone"
            yield f"column {old.name}.{name} {what}, and the old release still uses it. {LATER}"
    for name in new.columns.keys() - old.columns.keys():
        if new.columns[name].required and not new.columns[name].filled:
            yield (
                f"column {new.name}.{name} is new, NOT NULL and has no default, so the old release cannot insert a "
                "row. Give it a server_default, or let it be NULL until a migration with `contract = True`."
            )


def _changes(where: str, old: Column, new: Column) -> Iterator[str]:
    if old.type != new.type:
        yield (
            f"{where} changes its type from {old.type} to {new.type}. Expand first: add a column of the new type, "
            "deploy a release that writes both, and drop the old one in a migration with `contract = True`."
        )
    if new.required and not old.required:
        yield (
            f"{where} becomes NOT NULL, but the old release may write NULL. Deploy a release that never does, and set "
            "it afterwards in a migration with `contract = True`."
        )
    if new.required and old.filled and not new.filled:
        yield f"{where} loses the default that the old release relies on. {LATER}"


def _rules(old: Relation, new: Relation) -> Iterator[str]:
    known = {rule.definition for rule in old.rules}
    for rule in new.rules:
        if rule.definition not in known and not _beyond_old_code(rule, old, new):
            yield (
                f"table {new.name} gets {rule.name} ({KINDS[rule.kind]}), which the old release may violate. Deploy a "
                "release that keeps to it, and add it afterwards in a migration with `contract = True`."
            )
    kept = {rule.definition for rule in new.rules}
    for rule in old.rules:
        if rule.kind == "u" and rule.definition not in kept and rule.columns <= new.columns.keys():
            yield (
                f"table {old.name} loses {rule.name} ({KINDS[rule.kind]}), and ON CONFLICT in the old release needs "
                f"it. {LATER}"
            )


def _beyond_old_code(rule: Rule, old: Relation, new: Relation) -> bool:
    """Whether code that does not know the new columns cannot violate the rule.

    It leaves them NULL or at their default. A row with a NULL in it is never a duplicate and refers to nothing, and a
    check of new columns alone must let their own defaults pass.
    """
    added = rule.columns - old.columns.keys()
    if rule.kind == "c":
        return bool(added) and added == rule.columns
    return rule.kind in "fu" and any(not (new.columns[name].required or new.columns[name].filled) for name in added)


def _labels(before: Catalogue, after: Catalogue) -> Iterator[str]:
    for kind, label in sorted(before.labels - after.labels):
        yield f"type {kind} loses the value {label!r}, which the old release still uses. {LATER}"


def _access(old: Relation, new: Relation) -> Iterator[str]:
    what = f"{_noun(old)} {old.name}"
    for (role, privilege), columns in sorted(old.rights.items()):
        lost = (columns & new.columns.keys()) - new.rights.get((role, privilege), frozenset())
        if lost:
            where = "" if lost == old.columns.keys() else f" ({', '.join(sorted(lost))})"
            yield f"{what}: role {role} loses {privilege}{where}, and the old release may use it. {LATER}"
    for filtered in sorted(new.filters - old.filters):
        yield (
            f"{what} gets {filtered}, and the old release no longer reads or writes the rows that it "
            "means. Deploy a release that allows for it, and add it afterwards in a migration with `contract = True`."
        )


def _uses(before: Catalogue, after: Catalogue) -> Iterator[str]:
    lost = before.uses - after.uses
    for thing in sorted({thing for _, thing in lost}):
        roles = ", ".join(sorted(role for role, other in lost if other == thing))
        yield f"{thing} can no longer be used by {roles}, and the old release may use it. {LATER}"
