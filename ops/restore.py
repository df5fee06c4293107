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

from ops import backups, check, commands, database, edge
from ops.backups import Backup, Catalogue, moment
from ops.errors import Failure, Interrupted, Refusal
from ops.operation import exclusive
from ops.progress import say, step, wait
from ops.site import Site

STEP_SECONDS = 24 * 3600
SERVES_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What is restored, up to where, and how that is said."""

    backup: Backup
    target: str
    text: str


def restore(site: Site, to: str, name: str, *, offsite: bool, agreed: bool) -> None:
    """Restore the newest backup, up to the last moment or the one asked for, or a backup by its name."""
    refuse_unasked(agreed=agreed)
    wanted = parse(to) if to else None
    with exclusive(site, "restore"):
        fetched = fetch(site) if offsite else None
        replace(site, choose(backups.catalogue(site, only=fetched), wanted, name), {}, agreed=agreed)


def refuse_unasked(*, agreed: bool) -> None:
    """Raise Refusal where there is nobody to ask and nobody has agreed beforehand."""
    if not agreed and not sys.stdin.isatty():
        raise Refusal(
            "It asks before it replaces anything, and there is nobody to ask. Give --yes to agree beforehand."
        )


def replace(site: Site, plan: Plan, settings: dict[str, str], *, agreed: bool) -> None:
    """Build another database, look at it, ask, and let it take the live one's place, with these settings besides."""
    say(f"  {plan.text}")
    refuse_full_disk(site, plan)
    clear(site)
    settings = {**settings, database.VOLUME: new_volume(site)}
    try:
        build(site, plan, settings)
        with trial(site, settings):
            look(site, settings)
        agree(site, plan, agreed=agreed)
    except (Exception, Interrupted, KeyboardInterrupt):
        clear(site)
        raise
    change_over(site, plan, settings)


def new_volume(site: Site) -> str:
    """Make an empty volume, by a name that there has never been, and return that."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"{site.name}_db-{moment}-{secrets.token_hex(2)}"
    site.runner.change(commands.make_volume(site.name, name))
    return name


def fetch(site: Site) -> set[str]:
    """Bring the newest copy back from elsewhere; return what was in it, for there may be backups of this machine."""
    with step("fetch") as current:
        found = set(site.runner.change(site.compose.fetch_backups(), timeout=STEP_SECONDS).split())
        current.note = ", ".join(sorted(found))
    return found


def parse(text: str) -> datetime:
    """Return the moment that was asked for; raises Refusal unless it says in which time zone it is."""
    try:
        found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
    except ValueError as error:
        raise Refusal(f"--to: {text!r} is no time. Give one such as 2026-11-25T10:00:00Z.") from error
    if found.tzinfo is None:
        raise Refusal(
            f"--to: {text!r} has no time zone. Give one such as {text.strip()}Z, for UTC, or {text.strip()}+01:00."
        )
    return found.astimezone(timezone.utc)


def choose(found: Catalogue, to: datetime | None, name: str) -> Plan:
    """Return what leads there; raises Refusal where nothing does, with what can be reached."""
    if name:
        backup = next((each for each in found.backups if each.name == name), None)
        if not backup:
            raise Refusal(f"There is no backup {name!r}. See: python3 -m ops backups")
        return Plan(backup, "immediate", f"{name}, of {moment(backup.ended)}")
    bases = [each for each in found.backups if each.kind != "dump"]
    if not bases:
        raise Refusal("There is no base backup. A dump is restored by its name: python3 -m ops restore --backup NAME")
    if not to:
        last = max(bases, key=lambda each: (found.until.get(each.lineage, 0), each.ended))
        until = found.until.get(last.lineage, 0)
        return Plan(last, "latest", f"{last.name} and all WAL after it, received until {moment(until)}")
    seconds = to.timestamp()
    reaching = [each for each in bases if each.ended <= seconds <= found.until.get(each.lineage, 0) + 1]
    if not reaching:
        spans = [f"  from {moment(since)} to {moment(until)}" for since, until in backups.reach(found)]
        raise Refusal("\n".join([f"Nothing leads to {moment(seconds)}. What can be reached:", *spans]))
    text = to.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return Plan(reaching[-1], text, f"{reaching[-1].name} and the WAL after it, until {text}")


def refuse_full_disk(site: Site, plan: Plan) -> None:
    """Raise Refusal unless there is room for a second database."""
    free, needed = (
        check.refuse_full_disk(site),
        plan.backup.megabytes * 2**20 * (8 if plan.backup.kind == "dump" else 2),
    )
    if free < needed:
        raise Refusal(
            f"{free / 2**30:.1f} GiB are free, and {needed / 2**30:.1f} may be needed for the second database."
        )


def build(site: Site, plan: Plan, settings: dict[str, str]) -> None:
    """Check the backup, lay it out, bring it to the moment, and check what came out."""
    compose = site.compose.having(settings)
    for name in ("verify", "lay-out", "recover", "check"):
        with step(name) as current:
            words = compose.restore_step(name, plan.backup.what, plan.target)
            current.note = " ".join(site.runner.change(words, timeout=STEP_SECONDS).split())


@contextmanager
def trial(site: Site, settings: dict[str, str]) -> Iterator[None]:
    """Run the database that was built in a project of its own, where no user reaches it."""
    compose = site.compose.trial(site.name, settings)
    try:
        with step("try"):
            site.runner.change(compose.start_anew("db"), timeout=database.START_SECONDS)
        yield
    finally:
        site.runner.change(compose.down())


def look(site: Site, settings: dict[str, str]) -> None:
    """Let the release that serves look at it: is the schema its own, and would it be ready?"""
    image = site.colour_image(site.serving.colour)
    try:
        site.runner.look(commands.inspect_image(image))
    except Failure:
        say("  no release is here yet, so none has looked at it")
        return
    compose = site.compose.trial(site.name, settings)
    for words in (("db", "upgrade"), ("db", "check"), ("ready",)):
        with step(f"flask {' '.join(words)}"):
            site.runner.change(compose.migrate(image, "flask", "--app", "wsgi", *words), timeout=3600)


def agree(site: Site, plan: Plan, *, agreed: bool) -> None:
    """Ask whether it may take the live database's place; raises Refusal if not."""
    say(
        f"What was restored is well: {plan.text}. If it takes the database's place, what was written after that is no "
        f"longer there; the volume {database.volume(site)} is kept as it is."
    )
    try:
        answer = site.name if agreed else input(f"Type {site.name} to replace the database: ").strip()
    except EOFError:
        answer = ""
    if answer != site.name:
        raise Refusal("Nothing was replaced; what was restored is taken away again.")


def change_over(site: Site, plan: Plan, settings: dict[str, str]) -> None:
    """Let users meet it, see that they do, and begin to keep backups of it."""
    old = database.volume(site)
    with step("change over"):
        database.change_over(site, settings, plan.text)
    site = site.fresh()
    if site.runner.look(commands.containers(site.name, site.serving.colour)).split():
        with step("serves") as current:
            current.note = wait(lambda: _serves(site), SERVES_SECONDS, "The application does not answer from it")
    try:
        backups.backup(site)
    except Failure as failure:
        raise Failure(f"It is restored and serves, but THERE IS NO BACKUP OF IT YET.\n{failure}") from failure
    say(f"Restored: {plan.text}. What it replaced is kept; when nobody needs it: docker volume rm {old}")


def _serves(site: Site) -> tuple[str | None, str]:
    answers = {path: edge.ask_outside(site, path) for path in site.smoke_paths}
    bad = [f"{path}: {answer}" for path, answer in answers.items() if answer.status != 200]
    return (None, bad[0]) if bad else (f"{', '.join(answers)} answered with 200", "")


def clear(site: Site) -> None:
    """Take away what a restore that was stopped has left."""
    site.runner.change(site.compose.trial(site.name, {}).down())
    database.clear_unfinished(site)
