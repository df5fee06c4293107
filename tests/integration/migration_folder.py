"""Copies of the project's migrations with more of them behind, `flask db` on these, and a look at what came of it."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg2
from alembic.script import ScriptDirectory

from tests.helpers import ROOT

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
'''


def extended(place: Path, *bodies: str, contract: bool = False) -> Path:
    """Copy the migrations to PLACE and add one for each body, called added1, added2 and so on."""
    folder = place / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for number, body in enumerate(bodies, 1):
        (before,) = ScriptDirectory(str(folder)).get_heads()
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        revision = f"added{number}"
        text = MODULE.format(title=f"Step {number}", revision=revision, before=before, contract=contract, body=lines)
        (folder / f"versions/{revision}.py").write_text(text)
    return folder


def replace(folder: Path, old: str, new: str) -> None:
    """Change a constant in a copy's env.py."""
    text = (folder / "env.py").read_text()
    assert old in text
    (folder / "env.py").write_text(text.replace(old, new))


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
