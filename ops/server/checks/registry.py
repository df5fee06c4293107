"""All checks of the server, in order.

A deploy stops only if the failure would break the deploy or get worse by it: a full disk. Anything else is a warning
there, because late backups must not block a fix.
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
    """A check, what it passes, warns of and fails for, and its effect on a deploy."""

    name: str
    run: Callable[[Server], Iterator[Finding]]
    passes: str
    warns: str = ""
    fails: str = ""
    deploy: str = "warns"  # "stops", "warns", or "" if a deploy skips it because it starts what is missing


CHECKS = (
    Check(
        "secret-files",
        files.check_secrets,
        "only the user who reads a file in secrets/ owns it and may read it",
        fails="other users may read it; another user owns it",
    ),
    Check(
        "settings-file",
        files.check_settings,
        "only the owner may read .env, and it contains no secret",
        "other users may read it, or it contains a secret",
        "other users may read it and it contains a secret; other users may write it",
    ),
    Check(
        "disk",
        disk.check_disk,
        "the disks of this folder and of Docker have space",
        "less than a tenth is free, or a fiftieth of the inodes",
        "less than 2 GiB is free",
        "stops",
    ),
    Check(
        "backups-disk",
        disk.check_backups_disk,
        "the backup disk has space",
        "less than a tenth is free, or a fiftieth of the inodes",
        "less than BACKUP_FREE: backups stop",
    ),
    Check(
        "backups",
        sidecars.check_backups,
        "each backup, off-site copy and drill succeeded in time",
        "nothing is deployed yet",
        "a job failed, is late, or has not succeeded yet",
    ),
    Check("offsite", sidecars.check_offsite, "backups are copied off the machine", "backups are only on this machine"),
    Check(
        "certificate",
        sidecars.check_certificate,
        "an authority issued it, it covers each name, and it is renewed in time",
        "it is the self-signed placeholder; it has not been checked yet",
        "it was not obtained, renewed or checked; it lacks a name; it expires within a week",
    ),
    Check(
        "host-clock",
        clock.check,
        "the system clock is synchronised (NTP)",
        "the clock is not synchronised; its state is unknown",
    ),
    Check(
        "services",
        services.check_services,
        "each service is running and healthy, except the idle colour",
        fails="a service is not running or is unhealthy",
        deploy="",
    ),
    Check(
        "ports",
        services.check_ports,
        "only nginx publishes ports",
        "another service publishes a port on 127.0.0.1",
        "another service publishes a port to the network",
    ),
    Check("container-logs", services.check_logs, "each container's log has a size limit", "a log has no size limit"),
    Check(
        "https",
        edge.check,
        "HTTP redirects to HTTPS, whose responses have Strict-Transport-Security",
        "the header is missing",
        "HTTP does not redirect; nginx does not respond",
    ),
)
CHECK_ERRORS = (OpsError, OSError, ValueError, KeyError, TypeError)


def run_all(server: Server) -> list[Finding]:
    """Run every check of the server."""
    return [finding for check in CHECKS for finding in run_check(check, server)]


def run_deploy_checks(server: Server) -> list[Finding]:
    """Run the checks of a deploy; a failure is a warning unless it stops the deploy."""
    found = [(check, finding) for check in CHECKS if check.deploy for finding in run_check(check, server)]
    return [
        replace(finding, state=WARN) if finding.state == FAIL and check.deploy != "stops" else finding
        for check, finding in found
    ]


def run_check(check: Check, server: Server) -> list[Finding]:
    """Run one check; an error in it is a warning, because it does not describe the server."""
    try:
        found = list(check.run(server))
    except CHECK_ERRORS as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        found = [warned(f"the check failed to run: {type(error).__name__}: {line}.", "python3 -m ops status")]
    return [replace(finding, check=check.name) for finding in found]
