"""Copies of the project's migrations with additional ones, and releases that use them."""

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


def extended(parent: Path, *bodies: str, contract: bool = False, name: str = "added") -> Path:
    """Copy the migrations to PARENT/migrations, and add one for each body: added1, added2 and so on."""
    folder = parent / "migrations"
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
    """A release with the migrations of a folder; its commands and readiness check run in this process."""

    def __init__(self, url, folder=ROOT / "migrations"):
        self.url, self.folder = url, folder
        self.app = create_app("testing", {"TEST_DATABASE_URL": url})

    def flask(self, *arguments):
        """Run `flask ARGUMENTS`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema_state, "DIRECTORY", self.folder)
            return self.app.test_cli_runner().invoke(args=arguments)

    def db(self, *arguments):
        """Run `flask db ARGUMENTS`."""
        return self.flask("db", "--directory", str(self.folder), *arguments)

    def migrations(self):
        """Return the status of /health/ready, and its state of the migrations."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema_state, "DIRECTORY", self.folder)
            response = self.app.test_client().get("/health/ready")
        return response.status_code, response.json["checks"]["migrations"]

    def execute(self, statement):
        """Run and commit a statement on a separate connection; return its rows."""
        engine = create_engine(self.app.config["SQLALCHEMY_DATABASE_URI"], poolclass=NullPool)
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def close(self):
        """Close the connections."""
        with self.app.app_context():
            db.engine.dispose()


def start(url: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `flask db ARGUMENTS` in a separate process."""
    environment = {"PATH": os.environ["PATH"], "FLASK_ENV": "testing", "DATABASE_URL": url, "DB_TIMEOUT": "2"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "--directory", str(folder), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `flask db ARGUMENTS` in a separate process."""
    process = start(url, folder, *arguments)
    try:
        output, errors = process.communicate(timeout=40)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@contextlib.contextmanager
def session(url: str):
    """Yield a function that runs statements on one connection, so that it holds its session locks."""
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True

        def execute(statement):
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield execute
