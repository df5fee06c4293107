"""What an expand step may not do, judged from the schema before and after it."""

from dataclasses import replace

import pytest

from deploy.migration_check.catalogue import Catalogue, Column, Relation, Rule
from deploy.migration_check.rules import compare

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


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ({}, "role app loses INSERT, and"),
        ({("app", "INSERT"): frozenset({"name"})}, "role app loses INSERT (colour), and"),
        ({("other", "INSERT"): frozenset({"name", "colour"})}, "role app loses INSERT, and"),
    ],
    ids=str,
)
def test_rights(rights, sentence):
    """A role keeps what it may do; the sentence says which columns it is about."""
    columns = {"name": NAME, "colour": COLOUR}
    before = replace(MAKERS, columns=columns, rights={("app", "INSERT"): frozenset(columns)})
    (problem,) = after(before, rights=rights)
    assert sentence in problem


def test_more_rights():
    """Rights may come, also on new columns, and those on a column go with it without a sentence of their own."""
    before = replace(MAKERS, rights={("app", "INSERT"): frozenset({"name", "gone"})})
    rights = {("app", "INSERT"): frozenset({"name", "colour"}), ("app", "DELETE"): frozenset({"name"})}
    assert after(before, rights=rights) == []


def test_uses():
    """What else a role may use stays; who loses the same thing stands in one sentence."""
    old = frozenset({("app", "sequence s"), ("owner", "sequence s"), ("app", "schema public")})
    new = frozenset({("app", "schema public"), ("app", "function f()")})
    (problem,) = compare(Catalogue({}, uses=old), Catalogue({}, uses=new))
    assert problem.startswith("sequence s can no longer be used by app, owner, and")


def test_filters():
    """Nothing may come between the old release's statements and the rows; what was there may stay or go."""
    before = replace(MAKERS, filters=frozenset({"rewrite rule old"}))
    assert after(before, filters=frozenset()) == []
    (problem,) = after(before, filters=frozenset({"rewrite rule old", "row level security"}))
    assert "table makers gets row level security" in problem
