"""The commands and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from ops.cli.run import run_canary, run_deploy, run_logs
from ops.data import backups, restore, upgrade
from ops.release import deploy
from ops.server import Server, certificates, check, init, status

Run = Callable[[Server, argparse.Namespace], "int | None"]
AddCommand = Callable[[str, Run, str], argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python3 -m ops`."""
    text = "Deploys and operates one server."
    top = argparse.ArgumentParser("python3 -m ops", description=text, allow_abbrev=False)
    top.add_argument("--folder", type=Path, help="the server's folder (default: the current one)")
    top.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)  # from the ops that fetched the release
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    for add_commands in (add_server_commands, add_release_commands, add_data_commands, add_inspect_commands):
        add_commands(command)
    commands.add_parser("forced-command", help="run SSH_ORIGINAL_COMMAND: the forced command of the deploy key")
    return top


def add_server_commands(command: AddCommand) -> None:
    """Add the commands that set up a server."""
    added = command(
        "init",
        lambda server, o: init.init(server, o.host, o.email),
        "create what a new server lacks; changes nothing that exists",
    )
    added.add_argument("--host", action="append", default=[], help="a public host name; repeat it for each")
    added.add_argument("--email", default="", help="request a certificate now, with this contact address")
    added = command(
        "certificates",
        lambda server, o: certificates.certificates(server, force=o.force),
        "request a certificate now; renewal is automatic",
    )
    added.add_argument("--force", action="store_true", help="even if the current one is valid")


def add_release_commands(command: AddCommand) -> None:
    """Add the commands that change the active release."""
    deploy_command = command("deploy", run_deploy, "move all traffic to a release without a failed request")
    deploy_command.add_argument("--canary", type=percent, metavar="PERCENT", help="first send it only this share")
    canary_command = command("canary", run_canary, "send a release a share of the traffic and keep that share")
    canary_command.add_argument("--percent", type=percent, default=10, help="the share (default 10)")
    for subcommand in (deploy_command, canary_command):
        subcommand.add_argument("image", metavar="IMAGE@sha256:…")
        subcommand.add_argument("--release", default="", help="refuse an image of another commit")
        subcommand.add_argument("--allow-contract", action="store_true", help="apply migrations that remove something")
        subcommand.add_argument(
            "--for", type=seconds, default=60, dest="watch", metavar="SECONDS", help="how long to observe"
        )
        subcommand.add_argument(
            "--budget", type=float, default=1, metavar="PERCENT", help="errors beyond the other colour's"
        )
    rollback_command = command(
        "rollback",
        lambda server, o: deploy.rollback(server, o.image or "", o.timeout),
        "move all traffic back to the previous release, or an earlier one",
    )
    rollback_command.add_argument("image", nargs="?")
    promote_command = command(
        "promote", lambda server, o: deploy.promote(server, o.timeout), "move all traffic to the canary"
    )
    abort_command = command("abort", lambda server, _: deploy.abort(server), "take the canary's traffic back")
    for subcommand in (deploy_command, canary_command, rollback_command, promote_command):
        subcommand.add_argument("--timeout", type=seconds, default=60, metavar="SECONDS", help="until it is ready")
    for subcommand in (deploy_command, canary_command, rollback_command, promote_command, abort_command):
        subcommand.add_argument("--dry-run", action="store_true", help="print each change instead of making it")


def add_data_commands(command: AddCommand) -> None:
    """Add the commands for the database's data."""
    command(
        "backup",
        lambda server, _: backups.backup(server),
        "make a base backup and a dump now; both are made every night",
    )
    backups_command = command(
        "backups",
        lambda server, o: backups.backups(server, as_json=o.json),
        "list what can be restored, and the state of the backup jobs",
    )
    backups_command.add_argument("--json", action="store_true")
    restore_command = command(
        "restore",
        lambda server, o: restore.restore(server, o.to, o.backup, offsite=o.offsite, assume_yes=o.yes),
        "restore backups into a new volume, verify it, and switch to it",
    )
    target = restore_command.add_mutually_exclusive_group()
    target.add_argument("--to", default="", metavar="TIME", help="the state at a time, such as 2026-11-25T10:00:00Z")
    target.add_argument("--backup", default="", metavar="NAME", help="the state of this backup")
    restore_command.add_argument("--offsite", action="store_true", help="first fetch the newest off-site copy")
    upgrade_command = command(
        "upgrade",
        lambda server, o: upgrade.upgrade(server, o.major, assume_yes=o.yes),
        "move the database to a newer major version; read-only meanwhile",
    )
    upgrade_command.add_argument("major", type=int, metavar="VERSION", help="such as 19")
    for subcommand in (restore_command, upgrade_command):
        subcommand.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    command(
        "drill",
        lambda server, _: backups.drill(server),
        "restore the newest backups into a temporary container and verify them",
    )


def add_inspect_commands(command: AddCommand) -> None:
    """Add the commands that change nothing."""
    status_command = command(
        "status", lambda server, o: status.status(server, as_json=o.json), "show what runs, and the history"
    )
    status_command.add_argument("--json", action="store_true")
    check_command = command(
        "check",
        lambda server, o: check.report(server, as_json=o.json, strict=o.strict),
        "check whether this server is fit for production; exit 1 if a check fails",
    )
    check_command.add_argument("--json", action="store_true", help="print objects of check, state, reason, remedy")
    check_command.add_argument("--strict", action="store_true", help="exit 1 for a warning too")
    logs_command = command("logs", run_logs, "show the logs of the services")
    logs_command.add_argument("service", nargs="*", type=service)
    logs_command.add_argument("--follow", action="store_true")
    logs_command.add_argument("--tail", type=int, default=100, metavar="LINES")


def percent(text: str) -> int:
    """Parse a share between 1 and 99."""
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 99")
    return int(text)


def seconds(text: str) -> float:
    """Parse a duration of at most a day."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError("must be a number of seconds, at most 86400")
    return number


def service(text: str) -> str:
    """Parse a service name, which Compose cannot take for an option."""
    if not re.fullmatch("[a-z][a-z0-9-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a service name")
    return text
