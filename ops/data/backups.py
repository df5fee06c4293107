"""`backup`, `backups` and `drill`: run, list and test backups; read the status of the backup jobs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from ops.docker.compose import BACKUP_COMMAND, OFFSITE_COPY
from ops.progress import echo, step
from ops.server import Server

BACKUP_SECONDS = 12 * 3600
DRILL_SECONDS = 24 * 3600
OFFSITE = "offsite"
MAX_AGE = {  # seconds since the last success; deploy/backup/status.sh has the same
    "wal": 120,
    "base": 26 * 3600,
    "dump": 26 * 3600,
    "drill": 15 * 86400,
    OFFSITE: 26 * 3600,
}
INTEGERS = ("checked", "succeeded", "failing_since", "seconds", "lag_bytes")
DETAILS = {"wal": "lag_bytes", "base": "name", "dump": "name", "drill": "compared", OFFSITE: "name"}


@dataclass(frozen=True)
class Backup:
    """A dump or a base backup; times are Unix times."""

    kind: str
    name: str
    lineage: str
    started: int
    ended: int
    megabytes: int
    parent: str

    @property
    def path(self) -> str:
        """Its path in the backup folder."""
        return f"dumps/{self.name}" if self.kind == "dump" else f"{self.lineage}/base/{self.name}"


@dataclass(frozen=True)
class Catalogue:
    """All backups, oldest first, and until when the WAL of each lineage was received."""

    backups: list[Backup]
    until: dict[str, int]


def backup(server: Server) -> None:
    """Run a base backup and a dump now."""
    with step("base backup and dump") as current:
        output = server.runner.execute(server.compose.exec_in("backup", *BACKUP_COMMAND, "now"), timeout=BACKUP_SECONDS)
        current.note = ", ".join(output.split())


def drill(server: Server) -> None:
    """Restore the newest backups into a temporary container and compare them with the live database."""
    with step("drill") as current:
        current.note = server.runner.execute(server.compose.drill(), timeout=DRILL_SECONDS).strip()


def backups(server: Server, *, as_json: bool) -> None:
    """Print the backups and the status of the jobs."""
    found, jobs = read_catalogue(server), job_statuses(server)
    echo(json.dumps({**asdict(found), "jobs": jobs}, indent=2) if as_json else format_catalogue(found, jobs))


def format_catalogue(found: Catalogue, jobs: dict[str, dict[str, Any]]) -> str:
    """Return one line for each backup, restorable span and job."""
    lines = [
        f"  {each.name:29} {each.megabytes:8} MiB  {format_time(each.ended)}"
        + (f"  on {each.parent}" if each.parent else "")
        for each in found.backups
    ]
    spans = [f"  any second from {format_time(since)} to {format_time(until)}" for since, until in spans_of(found)]
    return "\n".join([*(lines or ["  none yet"]), *spans, format_jobs(jobs)])


def spans_of(found: Catalogue) -> list[tuple[int, int]]:
    """Return the time spans, from and to, that base backups and WAL restore to any second of."""
    spans = []
    for lineage, until in found.until.items():
        ends = [each.ended for each in found.backups if each.lineage == lineage]
        if ends:
            spans.append((min(ends), max(until, *ends)))
    return sorted(spans)


def read_catalogue(server: Server, only: set[str] | None = None) -> Catalogue:
    """Return all backups, or those in ONLY these lineages and dumps; no service needs to run."""
    lines = server.runner.query(server.compose.list_backups(), timeout=300).splitlines()
    entries = [json.loads(line) for line in lines]
    known = Backup.__dataclass_fields__
    found = [Backup(**{name: entry[name] for name in known}) for entry in entries if entry["kind"] != "wal"]
    until = {entry["lineage"]: entry["until"] for entry in entries if entry["kind"] == "wal"}
    found = [each for each in found if only is None or {each.lineage, each.path} & only]
    return Catalogue(sorted(found, key=lambda each: each.ended), until)


def format_time(seconds: float) -> str:
    """Return a Unix time in RFC 3339 format."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def job_statuses(server: Server) -> dict[str, dict[str, Any]]:
    """Return the status of each enabled job."""
    enabled = [job for job in MAX_AGE if job != OFFSITE or OFFSITE_COPY in server.backup_services]
    return {job: _read_status(server, job) for job in enabled}


def format_jobs(found: dict[str, dict[str, Any]]) -> str:
    """Return one line for each job, and one for its problem."""
    lines = [_format_job(job, status) for job, status in found.items()]
    return "\n".join(lines if OFFSITE in found else [*lines, "  no off-site copies (docs/data.md)"])


def _read_status(server: Server, job: str) -> dict[str, Any]:
    path = server.backup_states / job
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = {name: value for name, _, value in (line.partition("=") for line in lines) if value}
    valid = {name: value for name, value in pairs.items() if name not in INTEGERS or value.isdecimal()}
    status: dict[str, Any] = {name: int(value) if name in INTEGERS else value for name, value in valid.items()}
    never_run = job == "drill" and "succeeded" not in status  # the first one runs on a Sunday
    return {**status, "late": not never_run and time.time() - status.get("succeeded", 0) > MAX_AGE[job]}


def _format_job(job: str, status: dict[str, Any]) -> str:
    last = f"last succeeded {format_time(status['succeeded'])}" if "succeeded" in status else "has not succeeded yet"
    line = f"  {job:7} {last}" + (f", {status[DETAILS[job]]}" if DETAILS[job] in status else "")
    line += f" in {status['seconds']} s" if "seconds" in status else (" bytes lag" if "lag_bytes" in status else "")
    if "error" in status:
        line += f"\n    FAILING since {format_time(status.get('failing_since', 0))}: {status['error']}"
    elif status["late"]:
        line += "\n    LATE: is the service running?"
    return line
