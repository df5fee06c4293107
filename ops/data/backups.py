"""`backup`, `backups` and `drill`: makes backups now, says what there is and how the jobs went, tries it out."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from ops.docker.compose import BACKUP_COMMAND, OFFSITE
from ops.progress import echo, step
from ops.server import Server

BACKUP_SECONDS = 12 * 3600
DRILL_SECONDS = 24 * 3600
JOBS = {  # after how many seconds without success a job is late; deploy/backup/care.sh goes by the same
    "wal": 120,
    "base": 26 * 3600,
    "dump": 26 * 3600,
    "drill": 15 * 86400,
    OFFSITE: 26 * 3600,
}
NUMBERS = ("checked", "succeeded", "failing_since", "seconds", "behind")


@dataclass(frozen=True)
class Backup:
    """A dump, or a base backup, which leads to any moment of its lineage's WAL from its end on; times are Unix'."""

    kind: str
    name: str
    lineage: str
    started: int
    ended: int
    megabytes: int
    parent: str

    @property
    def what(self) -> str:
        """Where it lies in the backups' folder."""
        return f"dumps/{self.name}" if self.kind == "dump" else f"{self.lineage}/base/{self.name}"


@dataclass(frozen=True)
class Catalogue:
    """All that can be restored from: backups, oldest first, and until when the WAL of each lineage was received."""

    backups: list[Backup]
    until: dict[str, int]


def backup(server: Server) -> None:
    """Make a base backup and a dump now."""
    with step("base backup and dump") as current:
        output = server.runner.execute(server.compose.exec_in("backup", *BACKUP_COMMAND, "now"), timeout=BACKUP_SECONDS)
        current.note = ", ".join(output.split())


def drill(server: Server) -> None:
    """Restore the newest backups into a container that is thrown away, and compare what comes out."""
    with step("drill") as current:
        current.note = server.runner.execute(server.compose.drill(), timeout=DRILL_SECONDS).strip()


def backups(server: Server, *, as_json: bool) -> None:
    """Print what there is to restore from."""
    found, jobs = catalogue(server), look(server)
    echo(json.dumps({**asdict(found), "jobs": jobs}, indent=2) if as_json else listed(found, jobs))


def listed(found: Catalogue, jobs: dict[str, dict[str, Any]]) -> str:
    """Return it for people."""
    lines = [
        f"  {each.name:29} {each.megabytes:8} MiB  {moment(each.ended)}"
        + (f"  on {each.parent}" if each.parent else "")
        for each in found.backups
    ]
    spans = [f"  any second from {moment(since)} to {moment(until)}" for since, until in reach(found)]
    return "\n".join([*(lines or ["  none yet"]), *spans, text(jobs)])


def reach(found: Catalogue) -> list[tuple[int, int]]:
    """Return the spans of time, from and to, that base backups and the WAL after them lead to."""
    spans = []
    for lineage, until in found.until.items():
        ends = [each.ended for each in found.backups if each.lineage == lineage]
        if ends:
            spans.append((min(ends), max(until, *ends)))
    return sorted(spans)


def catalogue(server: Server, only: set[str] | None = None) -> Catalogue:
    """Return what there is to restore from, or what of it is ONLY in these lineages and dumps; nothing has to run."""
    entries = [
        json.loads(line) for line in server.runner.query(server.compose.list_backups(), timeout=300).splitlines()
    ]
    known = Backup.__dataclass_fields__
    found = [Backup(**{name: entry[name] for name in known}) for entry in entries if entry["kind"] != "wal"]
    until = {entry["lineage"]: entry["until"] for entry in entries if entry["kind"] == "wal"}
    found = [each for each in found if only is None or {each.lineage, each.what} & only]
    return Catalogue(sorted(found, key=lambda each: each.ended), until)


def moment(seconds: float) -> str:
    """Return a moment as RFC 3339 has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def look(server: Server) -> dict[str, dict[str, Any]]:
    """Return how each job went: when it last succeeded, since when it fails and why, and whether it is late."""
    return {
        job: _job(server, job, late)
        for job, late in JOBS.items()
        if job != OFFSITE or OFFSITE in server.backup_services
    }


def text(found: dict[str, dict[str, Any]]) -> str:
    """Return it for people, a line for each job and, where something is wrong, with what."""
    lines = [_line(job, state) for job, state in found.items()]
    return "\n".join(lines if OFFSITE in found else [*lines, "  not copied off this machine (docs/data.md)"])


def _job(server: Server, job: str, late: int) -> dict[str, Any]:
    path = server.backup_states / job
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {name: value for name, _, value in (line.partition("=") for line in lines) if value}
    whole = {name: value for name, value in known.items() if name not in NUMBERS or value.isdecimal()}
    state: dict[str, Any] = {name: int(value) if name in NUMBERS else value for name, value in whole.items()}
    never = job == "drill" and "succeeded" not in state  # the first one comes on a Sunday
    return {**state, "late": not never and time.time() - state.get("succeeded", 0) > late}


def _line(job: str, state: dict[str, Any]) -> str:
    last = f"last succeeded {moment(state['succeeded'])}" if "succeeded" in state else "has not succeeded yet"
    details = {"wal": "behind", "base": "name", "dump": "name", "drill": "compared", OFFSITE: "name"}
    line = f"  {job:6} {last}" + (f", {state[details[job]]}" if details[job] in state else "")
    line += f" in {state['seconds']} s" if "seconds" in state else (" bytes behind" if "behind" in state else "")
    if "error" in state:
        line += f"\n    IT FAILS since {moment(state.get('failing_since', 0))}: {state['error']}"
    elif state["late"]:
        line += "\n    IT IS LATE: is the service running?"
    return line
