"""What was done on this server: one JSON object a line, only ever added to."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ops.lock import who

SERVING = ("deploy", "promote", "rollback")

Entry = dict[str, Any]


def add(path: Path, entry: Entry) -> None:
    """Write an entry down, for good, before anything else happens."""
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "by": who(), **entry})
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + line + "\n")
        file.flush()
        os.fsync(file.fileno())


def entries(path: Path) -> list[Entry]:
    """Return all entries, oldest first; a line that a crash cut short is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [entry for entry in map(_entry, lines) if entry]


def releases(history: list[Entry]) -> list[Entry]:
    """Return the releases that can be gone back to, oldest first; the last one serves.

    A rollback takes away what it went back over, so that two rollbacks go back two releases.
    """
    stack: list[Entry] = []
    for entry in history:
        if entry["result"] != "ok" or entry["command"] not in SERVING:
            continue
        images = [release["image"] for release in stack]
        if entry["command"] == "rollback" and entry["image"] in images:
            del stack[images.index(entry["image"]) + 1 :]
        else:
            stack = [release for release in stack if release["image"] != entry["image"]]
            stack.append(entry)
    return stack


def contracts_after(history: list[Entry], image: str) -> list[str]:
    """Return the contract steps that were applied, or begun, after a release was last deployed."""
    last = max(index for index, entry in enumerate(history) if _put_into_service(entry, image))
    return [step for entry in history[last:] for step in entry.get("contract", [])]


def _put_into_service(entry: Entry, image: str) -> bool:
    return entry["command"] in {"deploy", "promote"} and entry["result"] == "ok" and entry["image"] == image


def _entry(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None
