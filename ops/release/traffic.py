"""Which colour nginx serves: one file, written by ops, read by nginx, and the only place where that is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ops import files
from ops.errors import OpsError

COLOURS = ("blue", "green")
INTERNAL_URLS = {"blue": "http://127.0.0.1:8001", "green": "http://127.0.0.1:8002"}  # internal-listeners.conf

PATTERN = re.compile(r"split_clients \S+ \S+ \{ (?:(?P<percent>\d+)% web-(?P<canary>\w+); )?\* web-(?P<colour>\w+); \}")


@dataclass(frozen=True)
class Traffic:
    """All requests go to `colour`, but for `percent` of 100, which go to the other one (a canary)."""

    colour: str
    percent: int = 0

    @property
    def other(self) -> str:
        """The colour that does not serve, or serves the canary's share."""
        return COLOURS[1 - COLOURS.index(self.colour)]

    def text(self) -> str:
        """Return what nginx reads; https://nginx.org/en/docs/http/ngx_http_split_clients_module.html."""
        share = f"{self.percent}% web-{self.other}; " if self.percent else ""
        return f"# Written by ops.\nsplit_clients $request_id $active_upstream {{ {share}* web-{self.colour}; }}\n"


def read(path: Path) -> Traffic:
    """Return what the file says; raises OpsError when it says nothing that ops wrote."""
    found = PATTERN.search(path.read_text(encoding="utf-8")) if path.exists() else None
    if not found or found["colour"] not in COLOURS:
        raise OpsError(f"{path} does not say which colour serves. Run: python3 -m ops init")
    return Traffic(found["colour"], int(found["percent"] or 0))


def write(path: Path, serving: Traffic) -> None:
    """Say which colour serves; nginx never reads half of it."""
    files.write(path, serving.text())
