"""`restore`: build a second database from a backup while the live one serves, check it, and cut over to it."""

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
from ops.data.backups import Backup, Catalogue, format_time
from ops.docker import commands, nginx
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import echo, step, wait_for
from ops.release.pipeline import exclusive
from ops.server import Server, disk

STEP_SECONDS = 24 * 3600
SMOKE_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """A backup, and the recovery target in the form of restore.sh."""

    backup: Backup
    target: str
    description: str


def restore(server: Server, to: str, name: str, *, offsite: bool, assume_yes: bool) -> None:
    """Restore the latest state, the state at a time, or a backup by its name."""
    require_terminal(assume_yes=assume_yes)
    time_limit = parse_time(to) if to else None
    with exclusive(server, "restore"):
        fetched = fetch_offsite(server) if offsite else None
        plan = choose_plan(backups.read_catalogue(server, only=fetched), time_limit, name)
        replace_database(server, plan, {}, assume_yes=assume_yes)


def require_terminal(*, assume_yes: bool) -> None:
    """Raise PreconditionError without a terminal or --yes."""
    if not assume_yes and not sys.stdin.isatty():
        raise PreconditionError("Confirmation needs a terminal; pass --yes.")


def replace_database(server: Server, plan: Plan, settings: dict[str, str], *, assume_yes: bool) -> None:
    """Build a second database, check it, ask, and cut over to it with these additional settings."""
    echo(f"  {plan.description}")
    require_disk_space(server, plan)
    clean_up(server)
    settings = {**settings, database.VOLUME: create_volume(server)}
    try:
        build(server, plan, settings)
        with trial(server, settings):
            check_with_release(server, settings)
        confirm(server, plan, assume_yes=assume_yes)
    except (Exception, Interrupted, KeyboardInterrupt):
        clean_up(server)
        raise
    cut_over(server, plan, settings)


def create_volume(server: Server) -> str:
    """Create an empty volume with a unique name; return the name."""
    created = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"{server.name}_db-{created}-{secrets.token_hex(2)}"
    server.runner.execute(commands.make_volume(server.name, name))
    return name


def fetch_offsite(server: Server) -> set[str]:
    """Fetch the newest off-site copy; return its lineages and dumps, as the machine may have other backups."""
    with step("fetch") as current:
        fetched = set(server.runner.execute(server.compose.fetch_backups(), timeout=STEP_SECONDS).split())
        current.note = ", ".join(sorted(fetched))
    return fetched


def parse_time(text: str) -> datetime:
    """Return the time given as --to; raises PreconditionError if it is invalid or has no time zone."""
    text = text.strip()
    try:
        time_limit = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError as error:
        raise PreconditionError(f"--to: {text!r} is not a time. Use one such as 2026-11-25T10:00:00Z.") from error
    if time_limit.tzinfo is None:
        raise PreconditionError(f"--to: {text!r} has no time zone. Use one such as {text}Z, for UTC, or {text}+01:00.")
    return time_limit.astimezone(timezone.utc)


def choose_plan(catalogue: Catalogue, to: datetime | None, name: str) -> Plan:
    """Return the plan for a backup by name, a time, or the latest state; raises PreconditionError if there is none."""
    if name:
        return _named(catalogue, name)
    bases = [backup for backup in catalogue.backups if backup.kind != "dump"]
    if not bases:
        raise PreconditionError("There is no base backup. To restore a dump: python3 -m ops restore --backup NAME")
    return _at(catalogue, bases, to) if to else _latest(catalogue, bases)


def _named(catalogue: Catalogue, name: str) -> Plan:
    backup = next((backup for backup in catalogue.backups if backup.name == name), None)
    if not backup:
        raise PreconditionError(f"There is no backup {name!r}. See: python3 -m ops backups")
    return Plan(backup, "immediate", f"{name}, of {format_time(backup.ended)}")


def _latest(catalogue: Catalogue, bases: list[Backup]) -> Plan:
    last = max(bases, key=lambda backup: (catalogue.until.get(backup.lineage, 0), backup.ended))
    until = catalogue.until.get(last.lineage, 0)
    return Plan(last, "latest", f"{last.name} and all WAL after it, received until {format_time(until)}")


def _at(catalogue: Catalogue, bases: list[Backup], to: datetime) -> Plan:
    seconds = to.timestamp()
    reaching = [backup for backup in bases if backup.ended <= seconds <= catalogue.until.get(backup.lineage, 0) + 1]
    if not reaching:
        spans = [f"  from {format_time(since)} to {format_time(until)}" for since, until in backups.spans_of(catalogue)]
        raise PreconditionError("\n".join([f"No backup restores {format_time(seconds)}. Available:", *spans]))
    target = to.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return Plan(reaching[-1], target, f"{reaching[-1].name} and the WAL after it, until {target}")


def require_disk_space(server: Server, plan: Plan) -> None:
    """Raise PreconditionError without disk space for a second database."""
    free = disk.require_free(server)
    needed = plan.backup.megabytes * 2**20 * (8 if plan.backup.kind == "dump" else 2)
    if free < needed:
        raise PreconditionError(
            f"{free / 2**30:.1f} GiB are free; the second database may need {needed / 2**30:.1f} GiB."
        )


def build(server: Server, plan: Plan, settings: dict[str, str]) -> None:
    """Run the steps of deploy/backup/restore.sh."""
    compose = server.compose.with_environment(settings)
    for name in ("verify", "unpack", "recover", "check"):
        with step(name) as current:
            argv = compose.restore_step(name, plan.backup.path, plan.target)
            current.note = " ".join(server.runner.execute(argv, timeout=STEP_SECONDS).split())


@contextmanager
def trial(server: Server, settings: dict[str, str]) -> Iterator[None]:
    """Run the new database in a Compose project that users cannot reach."""
    compose = server.compose.trial(server.name, settings)
    try:
        with step("trial start"):
            server.runner.execute(compose.start_and_wait("db"), timeout=database.START_SECONDS)
        yield
    finally:
        server.runner.execute(compose.down())


def check_with_release(server: Server, settings: dict[str, str]) -> None:
    """Run the live release's schema and readiness checks against the new database."""
    image = server.colour_image(server.traffic.colour)
    try:
        server.runner.query(commands.inspect_image(image))
    except OpsError:
        echo("  no release is deployed yet: skipping its checks")
        return
    compose = server.compose.trial(server.name, settings)
    for argv in (("db", "upgrade"), ("db", "check"), ("ready",)):
        with step(f"flask {' '.join(argv)}"):
            server.runner.execute(compose.migrate(image, "flask", "--app", "wsgi", *argv), timeout=3600)


def confirm(server: Server, plan: Plan, *, assume_yes: bool) -> None:
    """Ask before the cutover; raises PreconditionError without consent."""
    echo(
        f"The new database is valid: {plan.description}. The cutover discards later writes; the volume "
        f"{database.volume(server)} stays."
    )
    try:
        answer = server.name if assume_yes else input(f"Type {server.name} to replace the database: ").strip()
    except EOFError:
        answer = ""
    if answer != server.name:
        raise PreconditionError("Nothing was replaced. The new database is removed.")


def cut_over(server: Server, plan: Plan, settings: dict[str, str]) -> None:
    """Cut over to the new database, smoke-test the application and back the database up."""
    replaced = database.volume(server)
    with step("cut over"):
        database.cut_over(server, settings, plan.description)
    server = server.fresh()
    if server.runner.query(commands.containers(server.name, server.traffic.colour)).split():
        with step("smoke") as current:
            current.note = wait_for(lambda: _smoke(server), SMOKE_SECONDS, "The application did not respond with 200")
    try:
        backups.backup(server)
    except OpsError as failure:
        raise OpsError(f"The new database serves, but there is NO BACKUP OF IT.\n{failure}") from failure
    echo(f"Restored: {plan.description}. To remove the replaced volume: docker volume rm {replaced}")


def _smoke(server: Server) -> tuple[str | None, str]:
    responses = {path: nginx.get_public(server, path) for path in server.smoke_paths}
    bad = [f"{path}: {response}" for path, response in responses.items() if response.status != 200]
    return (None, bad[0]) if bad else (f"{', '.join(responses)} responded with 200", "")


def clean_up(server: Server) -> None:
    """Remove the remains of an interrupted restore."""
    server.runner.execute(server.compose.trial(server.name, {}).down())
    database.remove_unused_volumes(server)
