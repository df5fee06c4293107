"""State files: which colour gets the traffic, and which operation is under way."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops import files
from ops.errors import OpsError

COLOURS = ("blue", "green")
INTERNAL_URLS = {
    "blue": "http://127.0.0.1:8001",
    "green": "http://127.0.0.1:8002",
}  # nginx/snippets/internal-listeners.conf
PATTERN = re.compile(r"split_clients \S+ \S+ \{ (?:(?P<percent>\d+)% web-(?P<canary>\w+); )?\* web-(?P<colour>\w+); \}")


@dataclass(frozen=True)
class Traffic:
    """All requests go to `colour`, except `percent` of 100, which go to the other colour (a canary)."""

    colour: str
    percent: int = 0

    @property
    def other(self) -> str:
        """The idle colour, or the canary."""
        return COLOURS[1 - COLOURS.index(self.colour)]

    def to_nginx_config(self) -> str:
        """Return nginx directives; https://nginx.org/en/docs/http/ngx_http_split_clients_module.html."""
        share = f"{self.percent}% web-{self.other}; " if self.percent else ""
        return f"# Written by ops.\nsplit_clients $request_id $active_upstream {{ {share}* web-{self.colour}; }}\n"


def read_traffic(path: Path) -> Traffic:
    """Return the traffic split that nginx reads; raises OpsError unless ops wrote the file."""
    match = PATTERN.search(path.read_text(encoding="utf-8")) if path.exists() else None
    if not match or match["colour"] not in COLOURS:
        raise OpsError(f"{path} does not name the active colour. Run: python3 -m ops init")
    return Traffic(match["colour"], int(match["percent"] or 0))


def write_traffic(path: Path, traffic: Traffic) -> None:
    """Replace the file atomically: nginx never reads half of it."""
    files.write(path, traffic.to_nginx_config())


@dataclass
class Journal:
    """The operation under way: its commit, the target colour, the previous active colour and the current step."""

    id: str
    command: str
    image: str
    commit: str
    colour: str
    previous_colour: str
    step: str = "begin"


def write_journal(path: Path, journal: Journal) -> None:
    """Replace the journal atomically."""
    files.write(path, json.dumps(asdict(journal)))


def read_journal(path: Path) -> Journal | None:
    """Return the operation under way, or None; ignores fields that a newer ops added."""
    if not path.exists():
        return None
    written = json.loads(path.read_text(encoding="utf-8"))
    return Journal(**{field.name: written[field.name] for field in fields(Journal)})
