"""Migrations without a database: what is printed as SQL, and what a new one looks like."""

import re
import shutil

import pytest

from app import create_app
from tests.support.helpers import ROOT

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
    assert printed.index("SET lock_timeout = '625ms'") < printed.index("SET statement_timeout = '600s'")
    assert printed.index("statement_timeout") < printed.index("BEGIN") < printed.index("CREATE TABLE products")
    assert printed.count("BEGIN;") == printed.count("COMMIT;") == 4


def test_sql_records_what_it_applies():
    """The SQL notes each migration in the table of the applied ones, as soon as that table is made."""
    printed = flask_db("upgrade", "--sql")
    noted = re.findall(r"INSERT INTO applied_migrations \(revision, contract\) VALUES \('(\w+)', false\);", printed)
    assert noted == ["5d1c7a90be24", "8e42f3b6c015", "c7b90d51a3f8", "f2a61b08d3c4"]
    assert "applied_migrations" not in flask_db("upgrade", "8e42f3b6c015:c7b90d51a3f8", "--sql")
    assert "DELETE FROM applied_migrations" not in flask_db("downgrade", "f2a61b08d3c4:8e42f3b6c015", "--sql")


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
