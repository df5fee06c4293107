"""A current or ahead schema is usable; one that is behind, diverged or contracted is refused."""

import pytest
from sqlalchemy import create_engine, text

from app.db.schema_state import (
    SchemaBehindError,
    SchemaContractedError,
    SchemaDivergedError,
    compare,
    known_revisions,
)

OURS = {"one": frozenset(), "two": frozenset({"one"}), "three": frozenset({"two"})}


@pytest.fixture
def connection():
    """A connection to an empty database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def with_heads(connection, *versions):
    """Store these as the newest revisions, as Alembic does."""
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    for version in versions:
        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
    return connection


def with_applied(connection, *revisions, contract=()):
    """Record these revisions as applied; CONTRACT are contract steps."""
    connection.execute(text("CREATE TABLE applied_migrations (revision TEXT PRIMARY KEY, contract BOOLEAN NOT NULL)"))
    for revision in (*revisions, *contract):
        values = {"revision": revision, "contract": revision in contract}
        connection.execute(text("INSERT INTO applied_migrations VALUES (:revision, :contract)"), values)
    return connection


def test_current(connection):
    """A schema with exactly this release's revisions is current."""
    assert compare(with_applied(connection, *OURS), OURS) == "current"


def test_own_contract_step(connection):
    """A contract step of this release does not count against it."""
    assert compare(with_applied(connection, "one", "three", contract=["two"]), OURS) == "current"


def test_behind(connection):
    """A schema without some of this release's revisions is behind; the error lists them in order."""
    with pytest.raises(SchemaBehindError, match="two, three") as caught:
        compare(with_applied(connection, "one"), OURS)
    assert caught.value.missing == ["two", "three"]


def test_ahead(connection):
    """A schema with an additional unknown revision is ahead."""
    assert compare(with_applied(connection, *OURS, "four"), OURS) == "ahead"


def test_diverged(connection):
    """A schema with an unknown revision in place of one of this release has diverged."""
    expected = "four applied, which this release does not know, and three not applied"
    with pytest.raises(SchemaDivergedError, match=expected):
        compare(with_applied(connection, "one", "two", "four"), OURS)


def test_diverged_in_the_middle(connection):
    """A schema that lacks a revision before an applied one has diverged, because an upgrade would skip it."""
    expected = "three applied, which this release orders later, and two not applied"
    with pytest.raises(SchemaDivergedError, match=expected):
        compare(with_applied(connection, "one", "three"), OURS)


def test_contracted(connection):
    """A schema with an unknown contract step is refused; the error names only that step."""
    expected = "past this release: a newer one has applied the contract step five, "
    with pytest.raises(SchemaContractedError, match=expected):
        compare(with_applied(connection, *OURS, "four", contract=["five"]), OURS)


def test_diverged_and_contracted(connection):
    """If a schema has both diverged and contracted, the error reports the divergence."""
    with pytest.raises(SchemaDivergedError):
        compare(with_applied(connection, "one", "two", contract=["five"]), OURS)


def test_without_the_table(connection):
    """Without the table, the newest revision implies its ancestors."""
    with pytest.raises(SchemaBehindError) as caught:
        compare(with_heads(connection, "two"), OURS)
    assert caught.value.missing == ["three"]


def test_without_the_table_diverged(connection):
    """Without the table, an unknown revision means divergence: a newer release would have created the table."""
    with pytest.raises(SchemaDivergedError, match="four applied"):
        compare(with_heads(connection, "four"), OURS)


def test_never_migrated(connection):
    """An empty database is behind."""
    with pytest.raises(SchemaBehindError):
        compare(connection)


def test_all_reverted(connection):
    """A database whose migrations were all reverted is behind."""
    with pytest.raises(SchemaBehindError):
        compare(with_heads(connection))


def test_linear_history(connection):
    """The project's migrations form one line with a single base."""
    revisions = known_revisions()
    assert compare(with_applied(connection, *revisions)) == "current"
    assert [len(before) for before in revisions.values()] == [0, *[1] * (len(revisions) - 1)]
