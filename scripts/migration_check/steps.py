"""Applies migrations one by one to an empty Postgres, and compares the schema before and after each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.script import Script, ScriptDirectory
from flask import Flask, current_app
from sqlalchemy import Connection, Engine, event

from app import create_app
from app.database import db

from . import catalogue, rules, squawk

# CREATE INDEX without CONCURRENTLY holds this lock on the table until its transaction ends.
LOCKED = """
    SELECT DISTINCT relation::regclass::text FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'ShareLock' AND granted AND pid = pg_backend_pid() AND relation = ANY(%s)"""


class Report(NamedTuple):
    """What is wrong, by migration, and the contract steps that were not looked into."""

    problems: list[str]
    skipped: list[str]


def check(folder: Path, url: str) -> Report:
    """Check the migrations in FOLDER with the help of an empty database."""
    app = create_app("testing", {"TEST_DATABASE_URL": url, "LOG_LEVEL": "ERROR"})
    scripts = list(ScriptDirectory(str(folder)).walk_revisions())[::-1]
    expanding = [script for script in scripts if not getattr(script.module, "contract", False)]
    skipped = [f"{name(script)}: a contract step, not checked" for script in scripts if script not in expanding]
    with app.app_context(), _own_folder(app, folder):
        problems = [*squawk.lint(expanding, folder), *_apply(scripts, expanding, folder)]
        db.engine.dispose()
    return Report(problems, skipped)


def name(script: Script) -> str:
    """Return what a person calls a migration: its file."""
    return Path(script.path).name


@contextmanager
def _own_folder(app: Flask, folder: Path) -> Iterator[None]:
    """Let `flask db` find its scripts in FOLDER."""
    migrate = app.extensions["migrate"].migrate
    usual, migrate.directory = migrate.directory, str(folder)
    try:
        yield
    finally:
        migrate.directory = usual


def _apply(scripts: list[Script], expanding: list[Script], folder: Path) -> Iterator[str]:
    for script in scripts:
        before = _read()
        try:
            tables = _upgrade(script.revision, folder, before)
        except Exception as error:  # noqa: BLE001 - a migration is any code at all
            yield f"{name(script)}: cannot be applied: {error}"
            return
        if script in expanding:
            found = rules.compare(before, _read()) + rules.locked(tables)
            yield from (f"{name(script)}: {problem}" for problem in found)


def _read() -> catalogue.Catalogue:
    with db.engine.connect() as connection:
        return catalogue.read(connection)


def _upgrade(revision: str, folder: Path, before: catalogue.Catalogue) -> list[str]:
    """Apply one migration; return the tables, among those that were there, which it kept writers away from."""
    oids = [relation.oid for relation in before.relations.values()]
    locked: set[str] = set()

    def look(connection: Connection) -> None:
        cursor: Any = connection.connection.cursor()
        cursor.execute(LOCKED, (oids,))
        locked.update(row[0] for row in cursor.fetchall())

    event.listen(Engine, "commit", look)
    try:
        command.upgrade(current_app.extensions["migrate"].migrate.get_config(str(folder)), revision)
    finally:
        event.remove(Engine, "commit", look)
    return sorted(locked)
