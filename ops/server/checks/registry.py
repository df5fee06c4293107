"""All checks of the server itself, in the order in which they are made; docs/production-check.md has the same table.

What fails stops a deploy only where the deploy would fail of it or make it worse, which is so for a full disk alone.
All else is a warning there: backups that are late are no reason to keep a repaired release from users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Callable

from ops.errors import OpsError
from ops.server import Server
from ops.server.checks import clock, disk, edge, files, services, sidecars
from ops.server.checks.finding import FAIL, WARN, Finding, warned


@dataclass(frozen=True)
class Check:
    """A check, what it says of a server that passes, what is a warning or a fault, and what a deploy does about it."""

    name: str
    look: Callable[[Server], Iterator[Finding]]
    passes: str
    warns: str = ""
    fails: str = ""
    deploy: str = "warns"  # "stops", "warns", or "" where it is not looked at: a deploy starts what is not there


CHECKS = (
    Check(
        "secret-files",
        files.check_secrets,
        "each file in secrets/ belongs to the user who reads it, and nobody else may",
        fails="somebody else may; another user owns it",
    ),
    Check(
        "settings-file",
        files.check_settings,
        "nobody else may read .env, and it has no secret",
        "others may read it; it has a secret",
        "both; others may change it",
    ),
    Check(
        "disk",
        disk.check_disk,
        "there is room on this folder's disk and on Docker's",
        "less than a tenth is free, or a fiftieth of the inodes",
        "less than 2 GiB is free",
        "stops",
    ),
    Check(
        "backups-disk",
        disk.check_backups_disk,
        "there is room where backups lie",
        "less than a tenth is free, or a fiftieth of the inodes",
        "less than BACKUP_FREE: backups stop",
    ),
    Check(
        "backups",
        sidecars.check_backups,
        "each job that makes backups, copies them or tries them succeeded in time",
        "nothing was deployed yet",
        "one fails, is late, or has not succeeded yet",
    ),
    Check("offsite", sidecars.check_offsite, "copies of the backups go elsewhere", "they do not"),
    Check(
        "certificate",
        sidecars.check_certificate,
        "it is an authority's, for each name, and renewed in time",
        "it is the self-signed placeholder; nothing is known of it yet",
        "it could not be had or renewed, is not looked at, lacks a name, or ends in less than a week",
    ),
    Check(
        "host-clock",
        clock.check,
        "the kernel's clock is kept right (NTP)",
        "it is not; that cannot be seen",
    ),
    Check(
        "services",
        services.check_services,
        "each service runs and is healthy, the idle colour aside",
        fails="one is not",
        deploy="",
    ),
    Check(
        "ports",
        services.check_ports,
        "nginx alone has ports on this machine",
        "another service has one on 127.0.0.1",
        "another one is open to the network",
    ),
    Check("container-logs", services.check_logs, "each container's log has a limit", "one has none"),
    Check(
        "https",
        edge.check,
        "plain HTTP leads to HTTPS, whose answers have Strict-Transport-Security",
        "they have not",
        "plain HTTP does not; nginx does not answer",
    ),
)
UNSEEN = (OpsError, OSError, ValueError, KeyError, TypeError)


def findings(server: Server) -> list[Finding]:
    """Make every check of the server."""
    return [finding for check in CHECKS for finding in made(check, server)]


def in_deploy(server: Server) -> list[Finding]:
    """Make those that a deploy makes; what fails is a warning, unless the deploy would fail of it or make it worse."""
    found = [(check, finding) for check in CHECKS if check.deploy for finding in made(check, server)]
    soft = [(finding, finding.state == FAIL and check.deploy != "stops") for check, finding in found]
    return [replace(finding, state=WARN) if softened else finding for finding, softened in soft]


def made(check: Check, server: Server) -> list[Finding]:
    """Make a check; that it could not be made is a warning, for it says nothing of the server."""
    try:
        found = list(check.look(server))
    except UNSEEN as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        found = [warned(f"could not be looked at: {type(error).__name__}: {line}.", "python3 -m ops status")]
    return [replace(finding, check=check.name) for finding in found]
