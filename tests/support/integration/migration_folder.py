"""Copies of the project's migrations with more of them behind, releases with these, and a look at what came of it."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app import create_app
from app.db import schema_state
from app.extensions import db
from tests.support.helpers import ROOT

MODULE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}
branch_labels = None
depends_on = None
contract = {contract}


def upgrade():
{body}


def downgrade():
    pass
'''


def extended(place: Path, *bodies: str, contract: bool = False, name: str = "added") -> Path:
    """Copy the migrations to PLACE and add one for each body, called added1, added2 and so on."""
    folder = place / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for number, body in enumerate(bodies, 1):
        (before,) = ScriptDirectory(str(folder)).get_heads()
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        revision = f"{name}{number}"
        module = MODULE.format(title=f"Step {number}", revision=revision, before=before, contract=contract, body=lines)
        (folder / f"versions/{revision}.py").write_text(module)
    return folder


def replace(folder: Path, old: str, new: str) -> None:
    """Change a constant in a copy's env.py."""
    environment = (folder / "env.py").read_text()
    assert old in environment
    (folder / "env.py").write_text(environment.replace(old, new))


class Release:
    """A release that has the migrations of a folder, on a database: its commands and its readiness, in this process."""

    def __init__(self, url, folder=ROOT / "migrations"):
        self.url, self.folder = url, folder
        self.app = create_app("testing", {"TEST_DATABASE_URL": url})

    def flask(self, *words):
        """Run `flask WORDS…`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema_state, "DIRECTORY", self.folder)
            return self.app.test_cli_runner().invoke(args=words)

    def db(self, *words):
        """Run `flask db WORDS…`."""
        return self.flask("db", "--directory", str(self.folder), *words)

    def migrations(self):
        """Return the status of its readiness, and the word for its migrations."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema_state, "DIRECTORY", self.folder)
            answer = self.app.test_client().get("/health/ready")
        return answer.status_code, answer.json["checks"]["migrations"]

    def execute(self, statement):
        """Run and commit a statement, over a connection of its own; return the rows, if it has any."""
        engine = create_engine(self.app.config["SQLALCHEMY_DATABASE_URI"], poolclass=NullPool)
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def close(self):
        """Close its connections."""
        with self.app.app_context():
            db.engine.dispose()


def start(url: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start `flask db WORDS…` on a database, in a process of its own."""
    environment = {"PATH": os.environ["PATH"], "FLASK_ENV": "testing", "DATABASE_URL": url, "DB_TIMEOUT": "2"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "--directory", str(folder), *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(url: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `flask db WORDS…` to its end."""
    process = start(url, folder, *words)
    try:
        output, errors = process.communicate(timeout=40)
    finally:
        process.kill()
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


@contextlib.contextmanager
def session(url: str):
    """Give a function that runs and commits a statement; over one connection, so that what it locks stays locked."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True

        def execute(statement):
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield execute
