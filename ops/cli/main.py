"""The command line of ops."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ops.cli import forced_command
from ops.data import backups, restore, upgrade
from ops.docker.runner import Runner
from ops.errors import Interrupted, OpsError, PreconditionError
from ops.progress import echo
from ops.release import deploy, fetch, promotion
from ops.release.canary import CanaryPolicy
from ops.release.deploy import DeployRequest
from ops.server import FILE, Server, certificates, check, init, status

Command = Callable[[str, str], argparse.ArgumentParser]  # adds one, by its name and what it does


def main(arguments: list[str]) -> int:
    """Carry out one command; return 0 if what it promises is so, 1 if not, 2 if it was not even begun."""
    began = time.monotonic()
    try:
        gated = arguments == ["forced-command"]
        argv = forced_command.arguments(os.environ.get("SSH_ORIGINAL_COMMAND")) if gated else arguments
        return run(parser().parse_args(argv), argv, gated=gated)
    except PreconditionError as refusal:
        echo(f"Refused: {refusal}")
        return 2
    except OpsError as failure:
        echo(f"Failed after {time.monotonic() - began:.1f} s: {failure}")
        return 1
    except OSError as error:
        echo(f"Failed after {time.monotonic() - began:.1f} s: {type(error).__name__}: {error}")
        return 1
    except (Interrupted, KeyboardInterrupt) as error:
        echo(f"Stopped: {error}")
        return 1


def run(options: argparse.Namespace, argv: list[str], *, gated: bool) -> int:
    """Carry out what was asked for, in the server's folder; return the exit code."""
    folder = Path(os.environ.pop(fetch.FOLDER, "") or Path.cwd())
    if not (folder / FILE).exists() and not os.environ.get(fetch.FETCHED):
        raise PreconditionError(f"{folder} has no {FILE}. Run this in the server's folder.")
    server = Server(folder, Runner(dry=getattr(options, "dry_run", False)), Path.cwd() / FILE)
    if options.command == "check":
        return check.report(server, as_json=options.json, strict=options.strict)
    if options.command in {"deploy", "canary"}:
        release(server, options, argv, gated=gated)
    elif options.command == "rollback":
        deploy.rollback(server, options.image or "", options.timeout)
    elif options.command == "promote":
        promotion.promote(server, options.timeout)
    else:
        other(server, options)
    return 0


def release(server: Server, options: argparse.Namespace, argv: list[str], *, gated: bool) -> None:
    """Fetch a release, then, as the release's own ops, bring it to users."""
    image = fetch.by_digest(options.image)
    if os.environ.pop(fetch.FETCHED, "") != image:
        echo(f"{options.command} {image}")
        if gated:
            forced_command.refuse_foreign(server, image)
        fetch.fetch_and_continue(server, image, argv)
    request = DeployRequest(image, options.release, options.allow_contract, options.timeout, share(options))
    if options.command == "canary":
        promotion.canary(server, request, CanaryPolicy(options.percent, options.watch, options.budget))
    else:
        deploy.deploy(server, request)


def share(options: argparse.Namespace) -> CanaryPolicy | None:
    """Return the canary that a deploy is to begin with."""
    percent = getattr(options, "canary", None)
    return CanaryPolicy(percent, options.watch, options.budget) if percent else None


def other(server: Server, options: argparse.Namespace) -> None:
    """Carry out what brings no release."""
    if options.command == "init":
        init.init(server, options.host, options.email)
    elif options.command == "certificates":
        certificates.certificates(server, force=options.force)
    elif options.command == "abort":
        promotion.abort(server)
    elif options.command == "restore":
        restore.restore(server, options.to, options.backup, offsite=options.offsite, assume_yes=options.yes)
    elif options.command == "upgrade":
        upgrade.upgrade(server, options.major, assume_yes=options.yes)
    elif options.command == "backups":
        backups.backups(server, as_json=options.json)
    elif options.command in {"backup", "drill"}:
        {"backup": backups.backup, "drill": backups.drill}[options.command](server)
    elif options.command == "status":
        status.status(server, as_json=options.json)
    else:
        logs(server, options)


def logs(server: Server, options: argparse.Namespace) -> None:
    """Become `docker compose logs`, of all services or the ones that are named."""
    argv = ["--follow"] if options.follow else []
    command = server.compose.logs("--tail", str(options.tail), *argv, *options.service)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - no shell


def parser() -> argparse.ArgumentParser:
    """Return the commands and their options."""
    text = "The release and the care of one server."
    top = argparse.ArgumentParser("python3 -m ops", description=text, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    for subject in (of_server, of_releases, of_data, of_looking):
        subject(command)
    command("forced-command", "the forced command of the deploy key (SSH_ORIGINAL_COMMAND)")
    return top


def of_server(command: Command) -> None:
    """Add what sets a server up."""
    begin = command("init", "make what a new server lacks; never changes what is there")
    begin.add_argument("--host", action="append", default=[], help="a name that users ask for; again for each")
    begin.add_argument("--email", default="", help="get a certificate at once; where its authority may write to you")
    trust = command("certificates", "get a certificate now; it is renewed by itself")
    trust.add_argument("--force", action="store_true", help="even if there is a good one")


def of_releases(command: Command) -> None:
    """Add what brings a release to users, and takes it back."""
    bring = command("deploy", "bring a release to users, without one failed request")
    bring.add_argument("--canary", type=percent, metavar="PERCENT", help="first give it only this share of the users")
    trial = command("canary", "give a release a share of the users, and leave it there")
    trial.add_argument("--percent", type=percent, default=10, help="the share (default 10)")
    for some in (bring, trial):
        some.add_argument("image", metavar="IMAGE@sha256:…")
        some.add_argument("--release", default="", help="refuse the image unless it is of this commit")
        some.add_argument("--allow-contract", action="store_true", help="apply migrations that take something away")
        some.add_argument("--for", type=seconds, default=60, dest="watch", metavar="SECONDS", help="how long to watch")
        some.add_argument("--budget", type=float, default=1, metavar="PERCENT", help="errors beyond the old one's")
    back = command("rollback", "bring back the release before, or an earlier one")
    back.add_argument("image", nargs="?")
    grow = command("promote", "give the canary all users")
    stop = command("abort", "take the canary's users back")
    for some in (bring, trial, back, grow):
        some.add_argument("--timeout", type=seconds, default=60, metavar="SECONDS", help="until it is ready")
    for some in (bring, trial, back, grow, stop):
        some.add_argument("--dry-run", action="store_true", help="print the commands that would change something")


def of_data(command: Command) -> None:
    """Add what keeps the database, and brings it back."""
    command("backup", "make a base backup and a dump of the database now; they are made every night by themselves")
    known = command("backups", "what there is to restore from, and how the jobs that make it went")
    known.add_argument("--json", action="store_true")
    build = command(
        "restore", "build the database anew from backups, check it, ask, and let it take the live one's place"
    )
    which = build.add_mutually_exclusive_group()
    which.add_argument("--to", default="", metavar="TIME", help="as it was then, such as 2026-11-25T10:00:00Z")
    which.add_argument("--backup", default="", metavar="NAME", help="as it was when this backup was made")
    build.add_argument("--offsite", action="store_true", help="first bring the newest copy back from elsewhere")
    move = command("upgrade", "move the database to a newer major version of Postgres; users only read meanwhile")
    move.add_argument("major", type=int, metavar="VERSION", help="such as 19")
    for some in (build, move):
        some.add_argument("--yes", action="store_true", help="do not ask")
    command("drill", "restore the newest backups into a container that is thrown away, and compare")


def of_looking(command: Command) -> None:
    """Add what says how it stands."""
    command("status", "what runs, what serves, what was done").add_argument("--json", action="store_true")
    look = command("check", "whether this server is fit for production; exits with 1 if anything fails")
    look.add_argument("--json", action="store_true", help="for machines: objects of check, state, reason, remedy")
    look.add_argument("--strict", action="store_true", help="exit with 1 for a warning too")
    show = command("logs", "what the services say")
    show.add_argument("service", nargs="*", type=service)
    show.add_argument("--follow", action="store_true")
    show.add_argument("--tail", type=int, default=100, metavar="LINES")


def percent(text: str) -> int:
    """Return a share between 1 and 99."""
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError("give a whole number from 1 to 99")
    return int(text)


def seconds(text: str) -> float:
    """Return a time of a day at most."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError("give a number of seconds, a day (86400) at most")
    return number


def service(text: str) -> str:
    """Return the name of a service: a word that Compose cannot take for an option."""
    if not re.fullmatch("[a-z][a-z0-9-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no service")
    return text
