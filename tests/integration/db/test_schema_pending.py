"""`flask schema pending` prints a JSON array for the deploy tool in every state of the database."""

import json
import os
import subprocess
import sys

import psycopg2
import pytest
from alembic.script import ScriptDirectory

from app import create_app
from app.db import schema_state
from tests.integration.conftest import dispose, fresh_database, names
from tests.support.helpers import ROOT, free_port
from tests.support.integration.migration_folder import extended, session

FIRST = "5d1c7a90be24"


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request, folder):
    """An empty database."""
    name = f"pending_{next(names)}"
    if request.param == "sqlite":
        return f"sqlite:///{folder / name}.db"
    server = request.getfixturevalue("postgres")
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
def flask():
    """Run `flask ARGUMENTS` on a database and return the result."""
    apps = []

    def run(url, *arguments):
        apps.append(create_app("testing", {"TEST_DATABASE_URL": url}))
        return apps[-1].test_cli_runner().invoke(args=arguments)

    yield run
    for app in apps:
        dispose(app)


def pending(flask, url):
    """Return the printed revisions."""
    done = flask(url, "schema", "pending")
    assert done.exit_code == 0, done.output
    return [step["revision"] for step in json.loads(done.stdout)]


def test_lists_missing_migrations(empty, flask):
    """It lists the missing migrations in order: all for an empty database, none for a current one."""
    every = [script.revision for script in ScriptDirectory(str(schema_state.DIRECTORY)).walk_revisions()][::-1]
    assert pending(flask, empty) == every
    assert flask(empty, "db", "upgrade", FIRST).exit_code == 0
    assert pending(flask, empty) == every[1:]
    assert flask(empty, "db", "upgrade").exit_code == 0
    assert pending(flask, empty) == []


def test_contract_step_is_marked(postgres, flask, tmp_path, monkeypatch):
    """A migration with `contract = True` is marked."""
    folder = extended(tmp_path, 'op.drop_column("products", "description")', contract=True)
    monkeypatch.setattr(schema_state, "DIRECTORY", folder)
    url = fresh_database(postgres)
    assert json.loads(flask(url, "schema", "pending").stdout) == [
        {"revision": "added1", "contract": True, "title": "Step 1."}
    ]
    assert flask(url, "db", "downgrade", FIRST).exit_code == 0
    steps = json.loads(flask(url, "schema", "pending").stdout)
    assert [step["contract"] for step in steps] == [False, False, False, True]


def test_ahead(postgres, flask):
    """Nothing is pending on the schema of a newer release."""
    url = fresh_database(postgres)
    with session(url) as sql:
        sql("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        sql("INSERT INTO applied_migrations (revision, contract) VALUES ('ffffffffffff', false)")
    assert pending(flask, url) == []


def run_process(**environ):
    """Run the command in a separate process, as the deploy tool does."""
    environment = {"PATH": os.environ["PATH"], "FLASK_ENV": "testing"} | environ
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "schema", "pending"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_connects_as_the_owner(postgres):
    """It uses MIGRATION_DATABASE_URL, as migrations do, and prints only the array."""
    done = run_process(
        DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none",
        MIGRATION_DATABASE_URL=fresh_database(postgres),
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_unavailable_database():
    """With an unavailable database it exits with 1 and one line on stderr; stdout stays empty."""
    done = run_process(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert "MIGRATION_DATABASE_URL" in done.stderr


def test_changes_nothing(postgres, flask):
    """It creates no tables."""
    name = f"pending_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    pending(flask, postgres.url(name))
    with pytest.raises(psycopg2.errors.UndefinedTable), session(postgres.url(name)) as sql:
        sql("SELECT 1 FROM alembic_version")
