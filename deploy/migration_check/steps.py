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
from app.extensions import db

from . import catalogue, locks, roles, rules, squawk, waiting

RECORD = "applied_migrations"  # env.py writes to it at the end of each migration, in the same transaction


class Report(NamedTuple):
    """What is wrong, by migration, and the contract steps that were not looked into."""

    problems: list[str]
    skipped: list[str]


def check(folder: Path, url: str) -> Report:
    """Check the migrations in FOLDER with the help of an empty database."""
    app = create_app("testing", {"TEST_DATABASE_URL": roles.as_owner(url), "LOG_LEVEL": "ERROR"})
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
            waits = _upgrade(script.revision, folder, before)
        except Exception as error:  # noqa: BLE001 - a migration is any code at all
            yield f"{name(script)}: cannot be applied: {error}"
            return
        if script in expanding:
            found = rules.compare(before, _read()) + waits
            yield from (f"{name(script)}: {problem}" for problem in found)


def _read() -> catalogue.Catalogue:
    with db.engine.connect() as connection:
        return catalogue.read(connection)


def _upgrade(revision: str, folder: Path, before: catalogue.Catalogue) -> list[str]:
    """Apply one migration; return what its statements did that keeps those waiting who use what was there."""
    oids = [relation.oid for name, relation in before.relations.items() if name != RECORD]
    with _watched(oids) as problems:
        command.upgrade(current_app.extensions["migrate"].migrate.get_config(str(folder)), revision)
    return list(dict.fromkeys(problems))


@contextmanager
def _watched(oids: list[int]) -> Iterator[list[str]]:
    """Look at the session before and after each statement, and judge it."""
    problems: list[str] = []
    states: list[locks.State] = []

    def before(connection: Connection, *_: Any) -> None:
        states.append(locks.read(connection, oids))

    def after(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        problems.extend(waiting.judge(statement, states.pop(), locks.read(connection, oids)))

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield problems
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
