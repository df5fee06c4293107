"""`restore`: builds the database anew from backups, beside the live one, checks it, and lets it take its place."""

from __future__ import annotations

import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from ops.data import backups, database
from ops.data.backups import Backup, Catalogue, moment
from ops.docker import commands, nginx
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import echo, step, wait_for
from ops.release import preflight
from ops.release.operation import exclusive
from ops.server import Server

STEP_SECONDS = 24 * 3600
SERVES_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What is restored, up to where, and how that is said."""

    backup: Backup
    target: str
    text: str


def restore(server: Server, to: str, name: str, *, offsite: bool, agreed: bool) -> None:
    """Restore the newest backup, up to the last moment or the one asked for, or a backup by its name."""
    refuse_unasked(agreed=agreed)
    wanted = parse(to) if to else None
    with exclusive(server, "restore"):
        fetched = fetch(server) if offsite else None
        replace(server, choose(backups.catalogue(server, only=fetched), wanted, name), {}, agreed=agreed)


def refuse_unasked(*, agreed: bool) -> None:
    """Raise PreconditionError where there is nobody to ask and nobody has agreed beforehand."""
    if not agreed and not sys.stdin.isatty():
        raise PreconditionError(
            "It asks before it replaces anything, and there is nobody to ask. Give --yes to agree beforehand."
        )


def replace(server: Server, plan: Plan, settings: dict[str, str], *, agreed: bool) -> None:
    """Build another database, look at it, ask, and let it take the live one's place, with these settings besides."""
    echo(f"  {plan.text}")
    refuse_full_disk(server, plan)
    clear(server)
    settings = {**settings, database.VOLUME: new_volume(server)}
    try:
        build(server, plan, settings)
        with trial(server, settings):
            look(server, settings)
        agree(server, plan, agreed=agreed)
    except (Exception, Interrupted, KeyboardInterrupt):
        clear(server)
        raise
    change_over(server, plan, settings)


def new_volume(server: Server) -> str:
    """Make an empty volume, by a name that there has never been, and return that."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"{server.name}_db-{moment}-{secrets.token_hex(2)}"
    server.runner.execute(commands.make_volume(server.name, name))
    return name


def fetch(server: Server) -> set[str]:
    """Bring the newest copy back from elsewhere; return what was in it, for there may be backups of this machine."""
    with step("fetch") as current:
        found = set(server.runner.execute(server.compose.fetch_backups(), timeout=STEP_SECONDS).split())
        current.note = ", ".join(sorted(found))
    return found


def parse(text: str) -> datetime:
    """Return the moment that was asked for; raises PreconditionError unless it says in which time zone it is."""
    try:
        found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
    except ValueError as error:
        raise PreconditionError(f"--to: {text!r} is no time. Give one such as 2026-11-25T10:00:00Z.") from error
    if found.tzinfo is None:
        raise PreconditionError(
            f"--to: {text!r} has no time zone. Give one such as {text.strip()}Z, for UTC, or {text.strip()}+01:00."
        )
    return found.astimezone(timezone.utc)


def choose(found: Catalogue, to: datetime | None, name: str) -> Plan:
    """Return what leads there; raises PreconditionError where nothing does, with what can be reached."""
    if name:
        backup = next((each for each in found.backups if each.name == name), None)
        if not backup:
            raise PreconditionError(f"There is no backup {name!r}. See: python3 -m ops backups")
        return Plan(backup, "immediate", f"{name}, of {moment(backup.ended)}")
    bases = [each for each in found.backups if each.kind != "dump"]
    if not bases:
        raise PreconditionError(
            "There is no base backup. A dump is restored by its name: python3 -m ops restore --backup NAME"
        )
    if not to:
        last = max(bases, key=lambda each: (found.until.get(each.lineage, 0), each.ended))
        until = found.until.get(last.lineage, 0)
        return Plan(last, "latest", f"{last.name} and all WAL after it, received until {moment(until)}")
    seconds = to.timestamp()
    reaching = [each for each in bases if each.ended <= seconds <= found.until.get(each.lineage, 0) + 1]
    if not reaching:
        spans = [f"  from {moment(since)} to {moment(until)}" for since, until in backups.reach(found)]
        raise PreconditionError("\n".join([f"Nothing leads to {moment(seconds)}. What can be reached:", *spans]))
    text = to.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return Plan(reaching[-1], text, f"{reaching[-1].name} and the WAL after it, until {text}")


def refuse_full_disk(server: Server, plan: Plan) -> None:
    """Raise PreconditionError unless there is room for a second database."""
    free, needed = (
        preflight.refuse_full_disk(server),
        plan.backup.megabytes * 2**20 * (8 if plan.backup.kind == "dump" else 2),
    )
    if free < needed:
        raise PreconditionError(
            f"{free / 2**30:.1f} GiB are free, and {needed / 2**30:.1f} may be needed for the second database."
        )


def build(server: Server, plan: Plan, settings: dict[str, str]) -> None:
    """Check the backup, lay it out, bring it to the moment, and check what came out."""
    compose = server.compose.having(settings)
    for name in ("verify", "lay-out", "recover", "check"):
        with step(name) as current:
            argv = compose.restore_step(name, plan.backup.what, plan.target)
            current.note = " ".join(server.runner.execute(argv, timeout=STEP_SECONDS).split())


@contextmanager
def trial(server: Server, settings: dict[str, str]) -> Iterator[None]:
    """Run the database that was built in a project of its own, where no user reaches it."""
    compose = server.compose.trial(server.name, settings)
    try:
        with step("try"):
            server.runner.execute(compose.start_and_wait("db"), timeout=database.START_SECONDS)
        yield
    finally:
        server.runner.execute(compose.down())


def look(server: Server, settings: dict[str, str]) -> None:
    """Let the release that serves look at it: is the schema its own, and would it be ready?"""
    image = server.colour_image(server.traffic.colour)
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        echo("  no release is here yet, so none has looked at it")
        return
    compose = server.compose.trial(server.name, settings)
    for argv in (("db", "upgrade"), ("db", "check"), ("ready",)):
        with step(f"flask {' '.join(argv)}"):
            server.runner.execute(compose.migrate(image, "flask", "--app", "wsgi", *argv), timeout=3600)


def agree(server: Server, plan: Plan, *, agreed: bool) -> None:
    """Ask whether it may take the live database's place; raises PreconditionError if not."""
    echo(
        f"What was restored is well: {plan.text}. If it takes the database's place, what was written after that is no "
        f"longer there; the volume {database.volume(server)} is kept as it is."
    )
    try:
        answer = server.name if agreed else input(f"Type {server.name} to replace the database: ").strip()
    except EOFError:
        answer = ""
    if answer != server.name:
        raise PreconditionError("Nothing was replaced; what was restored is taken away again.")


def change_over(server: Server, plan: Plan, settings: dict[str, str]) -> None:
    """Let users meet it, see that they do, and begin to keep backups of it."""
    old = database.volume(server)
    with step("change over"):
        database.change_over(server, settings, plan.text)
    server = server.fresh()
    if server.runner.query(commands.containers(server.name, server.traffic.colour)).split():
        with step("serves") as current:
            current.note = wait_for(lambda: _serves(server), SERVES_SECONDS, "The application does not answer from it")
    try:
        backups.backup(server)
    except OpsError as failure:
        raise OpsError(f"It is restored and serves, but THERE IS NO BACKUP_COMMAND OF IT YET.\n{failure}") from failure
    echo(f"Restored: {plan.text}. What it replaced is kept; when nobody needs it: docker volume rm {old}")


def _serves(server: Server) -> tuple[str | None, str]:
    answers = {path: nginx.get_public(server, path) for path in server.smoke_paths}
    bad = [f"{path}: {answer}" for path, answer in answers.items() if answer.status != 200]
    return (None, bad[0]) if bad else (f"{', '.join(answers)} answered with 200", "")


def clear(server: Server) -> None:
    """Take away what a restore that was stopped has left."""
    server.runner.execute(server.compose.trial(server.name, {}).down())
    database.clear_unfinished(server)
