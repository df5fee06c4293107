"""Apply the pending migrations one by one, and compare the schema and the locks before and after each."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from . import blocking, breaking, locks, squawk
from .snapshot import Snapshot, take_snapshot


class Report(NamedTuple):
    """The problems, each with its migration's file name, and the contract steps, which are not checked."""

    problems: list[str]
    skipped: list[str]


def check(config: Config, url: str, *, ignored_tables: Collection[str] = ()) -> Report:
    """Check the migrations that the database at URL lacks, by applying them to it.

    CONFIG is Alembic's; its env.py must connect to the same database. IGNORED_TABLES are those that env.py writes to.
    """
    engine = create_engine(url, poolclass=NullPool)
    scripts = _pending(config, engine)
    expanding = [script for script in scripts if not getattr(script.module, "contract", False)]
    skipped = [f"{_name(script)}: contract step, not checked" for script in scripts if script not in expanding]
    problems = [*squawk.lint(expanding, config)]
    for script in scripts:
        before = _snapshot(engine)
        try:
            blocked = _upgrade(config, script, before, ignored_tables)
        except Exception as error:  # noqa: BLE001 - a migration may raise anything
            problems.append(f"{_name(script)}: cannot be applied: {error}")
            break
        if script in expanding:
            found = [*breaking.find_breaking_changes(before, _snapshot(engine)), *blocked]
            problems += [f"{_name(script)}: {problem}" for problem in found]
    return Report(problems, skipped)


def _pending(config: Config, engine: Engine) -> list[Script]:
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
    return list(ScriptDirectory.from_config(config).iterate_revisions("heads", heads or "base"))[::-1]


def _name(script: Script) -> str:
    return Path(script.path).name


def _snapshot(engine: Engine) -> Snapshot:
    with engine.connect() as connection:
        return take_snapshot(connection)


def _upgrade(config: Config, script: Script, before: Snapshot, ignored_tables: Collection[str]) -> list[str]:
    """Apply one migration; return how its statements block users of the tables that existed before."""
    oids = [relation.oid for name, relation in before.relations.items() if name not in ignored_tables]
    with _watch_statements(oids) as problems:
        command.upgrade(config, script.revision)
    return list(dict.fromkeys(problems))


@contextmanager
def _watch_statements(oids: list[int]) -> Iterator[list[str]]:
    """Collect the problems of each statement from the session's state before and after it."""
    problems: list[str] = []
    states: list[locks.Session] = []

    def before(connection: Connection, *_: Any) -> None:
        states.append(locks.read_session(connection, oids))

    def after(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        problems.extend(blocking.find_blocking(statement, states.pop(), locks.read_session(connection, oids)))

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield problems
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
