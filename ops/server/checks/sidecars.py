"""Checks of the backup jobs and of the certificate."""

from __future__ import annotations

from collections.abc import Iterator

from ops.data import backups
from ops.docker.compose import OFFSITE_COPY
from ops.release import history
from ops.server import Server, certificates
from ops.server.checks.finding import Finding, failed, passed, warned

MIN_DAYS = 7  # renewal is due with about 30 left
LOGS = "python3 -m ops logs"
SERVICES = {
    "wal": "wal-receiver",
    "base": "backup",
    "dump": "backup",
    "drill": "restore-drill",
    backups.OFFSITE: OFFSITE_COPY,
}


def check_backups(server: Server) -> Iterator[Finding]:
    """Check that each backup job succeeded in time."""
    if not history.releases(history.entries(server.history_file)):
        yield warned("nothing is deployed yet, so nothing is backed up.", "python3 -m ops deploy IMAGE@sha256:…")
        return
    found = backups.job_statuses(server)
    for job, status in found.items():
        logs = f"{LOGS} {SERVICES[job]}"
        if "error" in status:
            since = backups.format_time(status.get("failing_since", 0))
            yield failed(f"{job} fails since {since}: {status['error']}.", logs)
        elif status["late"] and "succeeded" in status:
            yield failed(f"{job} last succeeded {backups.format_time(status['succeeded'])}.", logs)
        elif status["late"]:
            yield failed(f"{job} has not succeeded yet.", f"After a first deploy wait a minute; then {logs}")
    if not any("error" in status or status["late"] for status in found.values()):
        yield passed(f"{', '.join(found)}: each succeeded in time.")


def check_offsite(server: Server) -> Iterator[Finding]:
    """Check that backups are copied off the machine."""
    if OFFSITE_COPY in server.backup_services:
        yield passed("the backups are copied off the machine.")
    else:
        remedy = "COMPOSE_PROFILES=offsite and RESTIC_REPOSITORY in .env (docs/data.md)."
        yield warned("the only backups are on this machine.", remedy)


def check_certificate(server: Server) -> Iterator[Finding]:
    """Check that the certificate is trusted, covers each name and is renewed."""
    found, obtain = certificates.read_status(server), "python3 -m ops certificates"
    if not found:
        yield warned("it has not been checked yet.", f"{LOGS} certbot")
    elif found["error"]:
        yield failed(f"it fails since {found['failing_since']}: {found['error']}.", f"{LOGS} certbot; then {obtain}")
    elif found["late"]:
        yield failed(f"it has not been checked since {found['checked']}.", f"Does certbot run? {LOGS} certbot")
    elif found["placeholder"]:
        yield warned("it is a self-signed placeholder.", f"When each name resolves to this server: {obtain}")
    elif found["days_left"] < MIN_DAYS:
        yield failed(f"it expires in {found['days_left']} days.", f"{LOGS} certbot; then {obtain}")
    else:
        yield from _check_names(server, found["names"], found["days_left"])


def _check_names(server: Server, covered: list[str], days: float) -> Iterator[Finding]:
    hosts = [host for host in server.hosts if not host.startswith(".") and host not in covered]
    if hosts:
        yield failed(f"it does not cover {', '.join(hosts)}.", "python3 -m ops certificates")
    else:
        yield passed(f"it covers {', '.join(covered)} and expires in {days:.0f} days.")
