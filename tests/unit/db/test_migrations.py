"""Migrations without a database: the SQL of an offline run, and the template of a new one."""

import re
import shutil

import pytest

from app import create_app
from tests.support.helpers import ROOT

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def folder(tmp_path):
    """A copy of the migrations."""
    return shutil.copytree(ROOT / "migrations", tmp_path / "migrations")


def flask_db(*arguments, url=UNREACHABLE):
    """Run `flask db ARGUMENTS`."""
    done = create_app("testing", {"TEST_DATABASE_URL": url}).test_cli_runner().invoke(args=["db", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_sql():
    """`flask db upgrade --sql` prints the timeouts and one transaction for each migration, without a server."""
    printed = flask_db("upgrade", "--sql")
    assert printed.index("SET lock_timeout = '625ms'") < printed.index("SET statement_timeout = '600s'")
    assert printed.index("statement_timeout") < printed.index("BEGIN") < printed.index("CREATE TABLE products")
    assert printed.count("BEGIN;") == printed.count("COMMIT;") == 4


def test_sql_records_applied_migrations():
    """The SQL inserts each migration into applied_migrations once that table exists."""
    printed = flask_db("upgrade", "--sql")
    recorded = re.findall(r"INSERT INTO applied_migrations \(revision, contract\) VALUES \('(\w+)', false\);", printed)
    assert recorded == ["5d1c7a90be24", "8e42f3b6c015", "c7b90d51a3f8", "f2a61b08d3c4"]
    assert "applied_migrations" not in flask_db("upgrade", "8e42f3b6c015:c7b90d51a3f8", "--sql")
    assert "DELETE FROM applied_migrations" not in flask_db("downgrade", "f2a61b08d3c4:8e42f3b6c015", "--sql")


def test_sql_on_sqlite():
    """For SQLite no timeouts are printed."""
    assert "timeout" not in flask_db("upgrade", "--sql", url="sqlite://")


def test_new_migration_is_an_expand_step(folder):
    """A new migration contains `contract = False` and explains the setting."""
    flask_db("--directory", str(folder), "revision", "-m", "Colours", "--rev-id", "abc")
    (made,) = folder.glob("versions/*abc*.py")
    text = made.read_text()
    assert "\ncontract = False\n" in text
    assert "# True if this migration removes" in text
    compile(text, made, "exec")
