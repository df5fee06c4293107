"""Breaking changes are found by comparing two snapshots of a schema."""

from dataclasses import replace

import pytest

from deploy.migration_check.breaking import find_breaking_changes
from deploy.migration_check.snapshot import Column, Constraint, Relation, Snapshot

NAME = Column("name", 1, "text", not_null=True, has_default=False)
COLOUR = Column("colour", 2, "text", not_null=False, has_default=False)
UNIQUE = Constraint("uq_makers_name", "u", "UNIQUE (name)", frozenset({"name"}))
MAKERS = Relation(7, "makers", "r", 7, {"name": NAME}, (UNIQUE,))


def change(before=MAKERS, **changes):
    """Return the problems of these changes to a table."""
    new = replace(before, **changes)
    return find_breaking_changes(Snapshot({before.name: before}), Snapshot({new.name: new}))


def add_colour(colour=COLOUR, *constraints):
    """Return the problems of a new column with constraints."""
    return change(columns={"name": NAME, "colour": colour}, constraints=(UNIQUE, *constraints))


def constraint(kind, *columns):
    """Return a new constraint on columns."""
    return Constraint("new", kind, f"{kind} {columns}", frozenset(columns))


def test_no_change():
    """An unchanged schema has no problems."""
    assert change() == []


def test_first_migration():
    """A change of an empty schema breaks nothing."""
    assert find_breaking_changes(Snapshot({}), Snapshot({"makers": MAKERS})) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "people"}, "table makers is renamed to people"),
        ({"kind": "v"}, "table makers becomes another kind"),
        ({"filenode": 8}, "table makers is rewritten"),
        ({"columns": {}, "constraints": ()}, "column makers.name is dropped"),
        ({"columns": {"title": NAME._replace(name="title")}}, "column makers.name is renamed to title"),
        ({"columns": {"name": NAME._replace(type="bytea")}}, "from text to bytea"),
        ({"constraints": ()}, "table makers loses the constraint uq_makers_name"),
    ],
    ids=str,
)
def test_used_objects(changes, message):
    """Dropping, renaming or retyping what the old release uses is a problem; the message has the remedy."""
    problems = change(**changes)
    assert message in problems[0]
    assert any(remedy in problems[0] for remedy in ("contract = True", "in batches"))


def test_recreated_table():
    """A table that is dropped and recreated with the same columns is not reported as rewritten."""
    assert change(oid=8, filenode=9) == []


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        (COLOUR, False),
        (COLOUR._replace(not_null=True, has_default=True), False),
        (COLOUR._replace(not_null=True), True),
    ],
)
def test_new_column(column, bad):
    """A new column must be optional in an INSERT."""
    assert bool(add_colour(column)) == bad


@pytest.mark.parametrize(
    ("new", "bad"),
    [
        (constraint("u", "name"), True),
        (constraint("u", "name", "colour"), False),
        (constraint("f", "colour"), False),
        (constraint("f", "name"), True),
        (constraint("c", "colour"), False),
        (constraint("c", "name", "colour"), True),
        (constraint("c"), True),
        (constraint("x", "colour"), True),
    ],
)
def test_new_constraint(new, bad):
    """A new constraint is a problem unless a row whose new column is NULL always satisfies it."""
    assert bool(add_colour(COLOUR, new)) == bad


def test_unique_constraint_on_a_default():
    """A unique constraint on a new column with a default is a problem: all rows of the old release have that value."""
    assert add_colour(COLOUR._replace(has_default=True), constraint("u", "colour"))


def test_not_null_and_default():
    """Setting NOT NULL, or dropping the default of a NOT NULL column, is a problem."""
    before = replace(MAKERS, columns={"colour": COLOUR}, constraints=())
    assert "becomes NOT NULL" in change(before, columns={"colour": COLOUR._replace(not_null=True)})[0]
    defaulted = COLOUR._replace(not_null=True, has_default=True)
    before = replace(before, columns={"colour": defaulted})
    assert "loses its default" in change(before, columns={"colour": defaulted._replace(has_default=False)})[0]


def test_enum_values():
    """Enum values may be added, not removed."""
    old, new = frozenset({("size", "s"), ("size", "l")}), frozenset({("size", "s"), ("size", "xl")})
    (problem,) = find_breaking_changes(Snapshot({}, old), Snapshot({}, new))
    assert "type size loses the value 'l'" in problem


@pytest.mark.parametrize(
    ("privileges", "message"),
    [
        ({}, "role app loses INSERT, but"),
        ({("app", "INSERT"): frozenset({"name"})}, "role app loses INSERT (colour), but"),
        ({("other", "INSERT"): frozenset({"name", "colour"})}, "role app loses INSERT, but"),
    ],
)
def test_revoked_privileges(privileges, message):
    """Revoking a role's privilege is a problem; the message lists the columns."""
    columns = {"name": NAME, "colour": COLOUR}
    before = replace(MAKERS, columns=columns, privileges={("app", "INSERT"): frozenset(columns)})
    (problem,) = change(before, privileges=privileges)
    assert message in problem


def test_granted_privileges():
    """Privileges may be granted; those on a dropped column are not reported separately."""
    before = replace(MAKERS, privileges={("app", "INSERT"): frozenset({"name", "dropped"})})
    privileges = {("app", "INSERT"): frozenset({"name", "colour"}), ("app", "DELETE"): frozenset({"name"})}
    assert change(before, privileges=privileges) == []


def test_other_privileges():
    """Revoking privileges on other objects is a problem, reported once for all roles."""
    old = frozenset({("app", "sequence s"), ("owner", "sequence s"), ("app", "schema public")})
    new = frozenset({("app", "schema public"), ("app", "function f()")})
    (problem,) = find_breaking_changes(Snapshot({}, other_privileges=old), Snapshot({}, other_privileges=new))
    assert problem.startswith("sequence s is no longer usable by app, owner, but")


def test_row_filters():
    """A new rewrite rule or row level security is a problem; existing ones may be removed."""
    before = replace(MAKERS, row_filters=frozenset({"rewrite rule old"}))
    assert change(before, row_filters=frozenset()) == []
    (problem,) = change(before, row_filters=frozenset({"rewrite rule old", "row level security"}))
    assert "table makers gets row level security" in problem
