"""What an expand step may not do, judged from the schema before and after it."""

from dataclasses import replace

import pytest

from scripts.migration_check.catalogue import Catalogue, Column, Relation, Rule
from scripts.migration_check.rules import compare

NAME = Column("name", 1, "text", required=True, filled=False)
COLOUR = Column("colour", 2, "text", required=False, filled=False)
UNIQUE = Rule("uq_makers_name", "u", "UNIQUE (name)", frozenset({"name"}))
MAKERS = Relation(7, "makers", "r", 7, {"name": NAME}, (UNIQUE,))


def after(before=MAKERS, **changes):
    """Return the problems when the table becomes another."""
    new = replace(before, **changes)
    return compare(Catalogue({before.name: before}), Catalogue({new.name: new}))


def with_colour(colour=COLOUR, *rules):
    """Return the problems when the table gets a column, and rules."""
    return after(columns={"name": NAME, "colour": colour}, rules=(UNIQUE, *rules))


def rule(kind, *columns):
    """Return a new rule on columns."""
    return Rule("new", kind, f"{kind} {columns}", frozenset(columns))


def test_nothing_changed():
    """A schema that is the same breaks nothing."""
    assert after() == []


def test_an_empty_schema():
    """The first migration can break nothing, whatever it makes."""
    assert compare(Catalogue({}), Catalogue({"makers": MAKERS})) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "people"}, "table makers is renamed to people"),
        ({"kind": "v"}, "table makers is now another kind"),
        ({"file": 8}, "table makers is written anew"),
        ({"columns": {}, "rules": ()}, "column makers.name is gone"),
        ({"columns": {"title": NAME._replace(name="title")}}, "column makers.name is renamed to title"),
        ({"columns": {"name": NAME._replace(type="bytea")}}, "from text to bytea"),
        ({"rules": ()}, "table makers loses uq_makers_name"),
    ],
    ids=str,
)
def test_what_is_used(changes, sentence):
    """What the old release uses may not go, change its name or its type; the sentence says what and what to do."""
    problems = after(**changes)
    assert sentence in problems[0]
    assert any(remedy in problems[0] for remedy in ("contract = True", "small steps"))


def test_a_table_made_anew():
    """A table that is dropped and made again with the same columns is no table that was written anew."""
    assert after(oid=8, file=9) == []


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        (COLOUR, False),
        (COLOUR._replace(required=True, filled=True), False),
        (COLOUR._replace(required=True), True),
    ],
)
def test_a_new_column(column, bad):
    """A new column must be one that an INSERT may leave out."""
    assert bool(with_colour(column)) == bad


@pytest.mark.parametrize(
    ("new", "bad"),
    [
        (rule("u", "name"), True),
        (rule("u", "name", "colour"), False),
        (rule("f", "colour"), False),
        (rule("f", "name"), True),
        (rule("c", "colour"), False),
        (rule("c", "name", "colour"), True),
        (rule("c"), True),
        (rule("x", "colour"), True),
    ],
    ids=str,
)
def test_a_new_rule(new, bad):
    """A new rule is refused unless it cannot touch a row in which the new column is NULL."""
    assert bool(with_colour(COLOUR, new)) == bad


def test_a_new_rule_on_a_default():
    """Rows of the old release all have the default, so they may not have to be unique."""
    assert with_colour(COLOUR._replace(filled=True), rule("u", "colour"))


def test_null_and_default():
    """NOT NULL may not be set, and a default on which it rests may not go."""
    before = replace(MAKERS, columns={"colour": COLOUR}, rules=())
    assert "becomes NOT NULL" in after(before, columns={"colour": COLOUR._replace(required=True)})[0]
    filled = COLOUR._replace(required=True, filled=True)
    before = replace(before, columns={"colour": filled})
    assert "loses the default" in after(before, columns={"colour": filled._replace(filled=False)})[0]


def test_enum_values():
    """A value may come and not go."""
    old, new = frozenset({("size", "s"), ("size", "l")}), frozenset({("size", "s"), ("size", "xl")})
    (problem,) = compare(Catalogue({}, old), Catalogue({}, new))
    assert "type size loses the value 'l'" in problem
