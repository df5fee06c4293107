"""Whether a schema serves this code: behind it does not, level and ahead it does."""

import pytest
from sqlalchemy import create_engine, text

from app.migration_state import SchemaBehindError, compare, revisions


@pytest.fixture
def connection():
    """A connection to an empty database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def applied(connection, *versions):
    """Say that these revisions are applied, as Alembic notes them."""
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    for version in versions:
        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
    return connection


def test_current(connection):
    """With the newest revision the schema is current."""
    (head,) = revisions()[0]
    assert compare(applied(connection, head)) == "current"


def test_behind(connection):
    """With an older one it is not ready, and the log can say what is missing."""
    (head,), known = revisions()
    older = min(known - {head})
    with pytest.raises(SchemaBehindError, match=f"{older}.*{head}"):
        compare(applied(connection, older))


def test_ahead(connection):
    """A revision that this code does not know comes from a newer release, which keeps the older one working."""
    assert compare(applied(connection, "ffffffffffff")) == "ahead"


def test_no_table(connection):
    """A database in which no migration ever ran is behind."""
    with pytest.raises(SchemaBehindError):
        compare(connection)


def test_empty_table(connection):
    """One whose migrations were all taken back is, too."""
    with pytest.raises(SchemaBehindError):
        compare(applied(connection))


def test_one_head():
    """The migrations are one line, every one of them known."""
    heads, known = revisions()
    assert len(heads) == 1
    assert heads < known
