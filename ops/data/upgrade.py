"""`upgrade`: moves the database to a newer major version of Postgres; users read on, and write again after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from ops.data import backups, database, restore
from ops.data.restore import Plan
from ops.docker import commands
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import step
from ops.release.operation import exclusive
from ops.server import Server

DUMP_SECONDS = 24 * 3600
PULL_SECONDS = 900


def upgrade(server: Server, major: int, *, agreed: bool) -> None:
    """Dump the database, restore that by the newer version, and let it take the live one's place."""
    restore.refuse_unasked(agreed=agreed)
    with exclusive(server, f"upgrade to Postgres {major}"):
        text = f"Postgres {major} instead of {refuse_no_newer(server, major)}"
        settings = {database.MAJOR: str(major)}
        fetch_image(server, f"postgres:{major}")
        with read_only(server, text):
            plan = dump(server, text)
            restore.replace(server, plan, settings, agreed=agreed)


def refuse_no_newer(server: Server, major: int) -> int:
    """Return the version that serves; raises PreconditionError unless the other one is newer."""
    image = str(server.config["services"]["db"]["image"])
    before = int(image.rpartition(":")[2].partition("-")[0].partition(".")[0])
    if major <= before:
        raise PreconditionError(f"The database is of Postgres {before}: {image}. Give a newer major version.")
    return before


def fetch_image(server: Server, image: str) -> None:
    """Fetch an image, unless it is here."""
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        with step("pull"):
            server.runner.execute(commands.pull(image), timeout=PULL_SECONDS)


@contextmanager
def read_only(server: Server, what: str) -> Iterator[None]:
    """Let the application write nothing while it lasts; killed meanwhile, the next command lets it write again."""
    database.begin(server, "none yet", what)
    try:
        with step("read-only"):
            server.runner.execute(server.compose.read_only("on"))
        yield
    except (Exception, Interrupted, KeyboardInterrupt):
        database.recover(server.fresh())
        raise


def dump(server: Server, text: str) -> Plan:
    """Dump the database as it is now, and return the plan to restore that.

    By its own version's tools: pg_dump 18.6 takes internal options of 17.12 over, which no 18 understands.
    """
    with step("dump") as current:
        current.note = server.runner.execute(server.compose.dump(), timeout=DUMP_SECONDS).strip()
    plan = restore.choose(backups.catalogue(server), None, current.note.split()[-1])
    return dataclasses.replace(plan, text=text)
