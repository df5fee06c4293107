"""Migrations without a database: what is printed as SQL, and what a new one looks like."""

import shutil

import pytest

from app import create_app
from tests.helpers import ROOT

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def folder(tmp_path):
    """A copy of the migrations."""
    return shutil.copytree(ROOT / "migrations", tmp_path / "migrations")


def flask_db(*words, url=NOWHERE):
    """Run `flask db WORDS…`."""
    done = create_app("testing", {"TEST_DATABASE_URL": url}).test_cli_runner().invoke(args=["db", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_sql():
    """`flask db upgrade --sql` prints the limits and each migration as a transaction, and needs no server."""
    printed = flask_db("upgrade", "--sql")
    assert printed.index("SET lock_timeout = '1000ms'") < printed.index("SET statement_timeout = '600s'")
    assert printed.index("statement_timeout") < printed.index("BEGIN") < printed.index("CREATE TABLE products")
    assert printed.count("BEGIN;") == printed.count("COMMIT;") == 3


def test_sql_on_sqlite():
    """SQLite knows none of the limits, so none is printed."""
    assert "timeout" not in flask_db("upgrade", "--sql", url="sqlite://")


def test_a_new_migration_expands(folder):
    """A new migration says that it is no contract step, and what that would mean."""
    flask_db("--directory", str(folder), "revision", "-m", "Colours", "--rev-id", "abc")
    (made,) = folder.glob("versions/*abc*.py")
    text = made.read_text()
    assert "\ncontract = False\n" in text
    assert "# True: takes away" in text
    compile(text, made, "exec")
