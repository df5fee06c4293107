"""`upgrade`: moves the database to a newer major version of Postgres; users read on, and write again after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from ops import backups, commands, database, restore
from ops.errors import Failure, Interrupted, Refusal
from ops.operation import exclusive
from ops.progress import step
from ops.restore import Plan
from ops.site import Site

DUMP_SECONDS = 24 * 3600
PULL_SECONDS = 900


def upgrade(site: Site, major: int, *, agreed: bool) -> None:
    """Dump the database, restore that by the newer version, and let it take the live one's place."""
    restore.refuse_unasked(agreed=agreed)
    with exclusive(site, f"upgrade to Postgres {major}"):
        text = f"Postgres {major} instead of {refuse_no_newer(site, major)}"
        settings = {database.MAJOR: str(major)}
        fetch_image(site, f"postgres:{major}")
        with read_only(site, text):
            plan = dump(site, text)
            restore.replace(site, plan, settings, agreed=agreed)


def refuse_no_newer(site: Site, major: int) -> int:
    """Return the version that serves; raises Refusal unless the other one is newer."""
    image = str(site.config["services"]["db"]["image"])
    before = int(image.rpartition(":")[2].partition("-")[0].partition(".")[0])
    if major <= before:
        raise Refusal(f"The database is of Postgres {before}: {image}. Give a newer major version.")
    return before


def fetch_image(site: Site, image: str) -> None:
    """Fetch an image, unless it is here."""
    try:
        site.runner.look(commands.inspect_image(image))
    except Failure:
        with step("pull"):
            site.runner.change(commands.pull(image), timeout=PULL_SECONDS)


@contextmanager
def read_only(site: Site, what: str) -> Iterator[None]:
    """Let the application write nothing while it lasts; killed meanwhile, the next command lets it write again."""
    database.begin(site, "none yet", what)
    try:
        with step("read-only"):
            site.runner.change(site.compose.read_only("on"))
        yield
    except (Exception, Interrupted, KeyboardInterrupt):
        database.settle(site.fresh())
        raise


def dump(site: Site, text: str) -> Plan:
    """Dump the database as it is now, and return the plan to restore that.

    By its own version's tools: pg_dump 18.6 takes internal options of 17.12 over, which no 18 understands.
    """
    with step("dump") as current:
        current.note = site.runner.change(site.compose.dump(), timeout=DUMP_SECONDS).strip()
    plan = restore.choose(backups.catalogue(site), None, current.note.split()[-1])
    return dataclasses.replace(plan, text=text)
