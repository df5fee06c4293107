"""Whether a schema serves this code: level and ahead it does, behind, parted and past a contract step it does not."""

import pytest
from sqlalchemy import create_engine, text

from app.db.schema_state import (
    SchemaBehindError,
    SchemaContractedError,
    SchemaDivergedError,
    compare,
    known,
)

OURS = {"one": frozenset(), "two": frozenset({"one"}), "three": frozenset({"two"})}


@pytest.fixture
def connection():
    """A connection to an empty database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def heads(connection, *versions):
    """Say that these are the newest revisions, as Alembic notes them."""
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    for version in versions:
        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
    return connection


def applied(connection, *revisions, contract=()):
    """Say that these revisions were applied, and which of them are contract steps."""
    connection.execute(text("CREATE TABLE applied_migrations (revision TEXT PRIMARY KEY, contract BOOLEAN NOT NULL)"))
    for revision in (*revisions, *contract):
        values = {"revision": revision, "contract": revision in contract}
        connection.execute(text("INSERT INTO applied_migrations VALUES (:revision, :contract)"), values)
    return connection


def test_current(connection):
    """With all of ours and nothing else the schema is current."""
    assert compare(applied(connection, *OURS), OURS) == "current"


def test_our_own_contract_step(connection):
    """A contract step of our own takes nothing from us."""
    assert compare(applied(connection, "one", "three", contract=["two"]), OURS) == "current"


def test_behind(connection):
    """With some of ours missing it is behind, and the error names them in their order."""
    with pytest.raises(SchemaBehindError, match="two, three") as caught:
        compare(applied(connection, "one"), OURS)
    assert caught.value.missing == ["two", "three"]


def test_ahead(connection):
    """A revision that this code does not know comes from a newer release, which keeps the older one working."""
    assert compare(applied(connection, *OURS, "four"), OURS) == "ahead"


def test_diverged(connection):
    """With one that we do not know instead of one of ours, no upgrade leads from there to here."""
    with pytest.raises(SchemaDivergedError, match="has four, which this release does not know, and no record of three"):
        compare(applied(connection, "one", "two", "four"), OURS)


def test_diverged_in_the_middle(connection):
    """With ours missing before one that was applied, an upgrade would overlook it."""
    with pytest.raises(SchemaDivergedError, match="has three, which this release puts later, and no record of two"):
        compare(applied(connection, "one", "three"), OURS)


def test_contracted(connection):
    """With a contract step that we do not know, something that we use may be gone; the error names that step alone."""
    with pytest.raises(SchemaContractedError, match="past this release: it has five, "):
        compare(applied(connection, *OURS, "four", contract=["five"]), OURS)


def test_diverged_and_contracted(connection):
    """Where both are true, the first thing to be told is that ours is missing."""
    with pytest.raises(SchemaDivergedError):
        compare(applied(connection, "one", "two", contract=["five"]), OURS)


def test_without_the_table(connection):
    """A database of an earlier release has what comes before its newest revision."""
    with pytest.raises(SchemaBehindError) as caught:
        compare(heads(connection, "two"), OURS)
    assert caught.value.missing == ["three"]


def test_without_the_table_diverged(connection):
    """One with a revision that we do not know cannot be ahead: a newer release would have made the table."""
    with pytest.raises(SchemaDivergedError, match="has four"):
        compare(heads(connection, "four"), OURS)


def test_no_table(connection):
    """A database in which no migration ever ran is behind."""
    with pytest.raises(SchemaBehindError):
        compare(connection)


def test_empty_table(connection):
    """One whose migrations were all taken back is, too."""
    with pytest.raises(SchemaBehindError):
        compare(heads(connection))


def test_one_line(connection):
    """The migrations are one line, and it begins with nothing before it."""
    assert compare(applied(connection, *known())) == "current"
    assert [len(before) for before in known().values()] == [0, *[1] * (len(known()) - 1)]
