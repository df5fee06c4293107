"""What looks after itself does: backups are fresh, and the certificate is one that users trust for a while."""

from __future__ import annotations

from collections.abc import Iterator

from ops.data import backups
from ops.docker.compose import OFFSITE
from ops.release import history
from ops.server import Server, certificates
from ops.server.checks.finding import Finding, failed, passed, warned

SOON = 7  # days: it is renewed when some 30 are left
LOGS = "python3 -m ops logs"


def check_backups(server: Server) -> Iterator[Finding]:
    """See that each job that makes backups, or tries them, succeeded in time."""
    if not history.releases(history.entries(server.history_file)):
        yield warned("nothing was deployed yet, so nothing is backed up.", "python3 -m ops deploy IMAGE@sha256:…")
        return
    found = backups.look(server)
    for job, state in found.items():
        if "error" in state:
            since = backups.moment(state.get("failing_since", 0))
            yield failed(f"{job} fails since {since}: {state['error']}.", f"{LOGS} {_service(job)}")
        elif state["late"] and "succeeded" in state:
            yield failed(f"{job} last succeeded {backups.moment(state['succeeded'])}.", f"{LOGS} {_service(job)}")
        elif state["late"]:
            yield failed(
                f"{job} has not succeeded yet.", f"After a first deploy wait a minute; then {LOGS} {_service(job)}"
            )
    if not any("error" in state or state["late"] for state in found.values()):
        yield passed(f"{', '.join(found)}: each succeeded in time.")


def check_offsite(server: Server) -> Iterator[Finding]:
    """See that a fire takes not all of them."""
    if OFFSITE in server.backup_services:
        yield passed("copies go elsewhere.")
    else:
        remedy = "COMPOSE_PROFILES=offsite and RESTIC_REPOSITORY in .env (docs/data.md)."
        yield warned("backups are on this machine alone, and go when it goes.", remedy)


def check_certificate(server: Server) -> Iterator[Finding]:
    """See that users meet a certificate of an authority's, for all names, which goes on being renewed."""
    found, now = certificates.look(server), "python3 -m ops certificates"
    if not found:
        yield warned("nothing is known of the certificate yet.", f"{LOGS} certbot")
    elif found["error"]:
        yield failed(f"it fails since {found['failing_since']}: {found['error']}.", f"{LOGS} certbot; then {now}")
    elif found["late"]:
        yield failed(f"nobody has looked at it since {found['checked']}.", f"Does certbot run? {LOGS} certbot")
    elif found["placeholder"]:
        yield warned("users meet a self-signed placeholder.", f"When each name leads to this server: {now}")
    elif found["days_left"] < SOON:
        yield failed(f"it ends in {found['days_left']} days.", f"{LOGS} certbot; then {now}")
    else:
        yield from _names(server, found["names"], found["days_left"])


def _names(server: Server, known: list[str], days: float) -> Iterator[Finding]:
    hosts = [host for host in server.hosts if not host.startswith(".") and host not in known]
    if hosts:
        yield failed(f"it is not for {', '.join(hosts)}.", "python3 -m ops certificates")
    else:
        yield passed(f"it is for {', '.join(known)}, and ends in {days:.0f} days.")


def _service(job: str) -> str:
    return "backup" if job in {"base", "dump"} else job
