"""`upgrade`: move the database to a newer major version of Postgres; it is read-only until the cutover."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from ops.data import backups, database, restore
from ops.data.restore import Plan
from ops.docker import commands
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import step
from ops.release.pipeline import exclusive
from ops.server import Server

DUMP_SECONDS = 24 * 3600
PULL_SECONDS = 900


def upgrade(server: Server, major: int, *, assume_yes: bool) -> None:
    """Dump the database, restore the dump with the newer version, and cut over to it."""
    restore.require_terminal(assume_yes=assume_yes)
    with exclusive(server, f"upgrade to Postgres {major}"):
        description = f"Postgres {major} instead of {require_newer(server, major)}"
        pull_missing(server, f"postgres:{major}")
        with read_only(server, description):
            plan = dump(server, description)
            restore.replace_database(server, plan, {database.MAJOR: str(major)}, assume_yes=assume_yes)


def require_newer(server: Server, major: int) -> int:
    """Return the live version; raises PreconditionError unless MAJOR is newer."""
    image = str(server.config["services"]["db"]["image"])
    live = int(image.rpartition(":")[2].partition("-")[0].partition(".")[0])
    if major <= live:
        raise PreconditionError(f"The database runs Postgres {live} ({image}). Use a newer major version.")
    return live


def pull_missing(server: Server, image: str) -> None:
    """Pull an image unless Docker has it."""
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        with step("pull"):
            server.runner.execute(commands.pull(image), timeout=PULL_SECONDS)


@contextmanager
def read_only(server: Server, description: str) -> Iterator[None]:
    """Make the application's role read-only; after a failure or a kill, `recover` makes it writable again."""
    database.record_change(server, "none yet", description)
    try:
        with step("read-only"):
            server.runner.execute(server.compose.read_only("on"))
        yield
    except (Exception, Interrupted, KeyboardInterrupt):
        database.recover(server.fresh())
        raise


def dump(server: Server, description: str) -> Plan:
    """Dump the database and return the plan to restore that dump.

    Use the live version's pg_dump: pg_dump 18.6 copies internal options of 17.12 that Postgres 18 rejects.
    """
    with step("dump") as current:
        current.note = server.runner.execute(server.compose.dump(), timeout=DUMP_SECONDS).strip()
    plan = restore.choose_plan(backups.read_catalogue(server), None, current.note.split()[-1])
    return dataclasses.replace(plan, description=description)
