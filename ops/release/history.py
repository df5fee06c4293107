"""What was done on this server: one JSON object a line, only ever added to."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ops.lock import who

SERVING = ("deploy", "promote", "rollback")
NEEDED = ("command", "image", "release", "result")

Entry = dict[str, Any]


def add(path: Path, entry: Entry) -> None:
    """Write an entry down, for good, before anything else happens."""
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "by": who(), **entry})
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + line + "\n")
        file.flush()
        os.fsync(file.fileno())


def digest(image: str) -> str:
    """Return what an image is, whatever name it is called by: another registry's, or one with a tag."""
    return image.rpartition("@")[2]


def entries(path: Path) -> list[Entry]:
    """Return all entries, oldest first; a line that a crash cut short, or that lacks what is needed, is left out."""
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
        digests = [digest(release["image"]) for release in stack]
        if entry["command"] == "rollback" and digest(entry["image"]) in digests:
            del stack[digests.index(digest(entry["image"])) + 1 :]
        else:
            stack = [release for release in stack if digest(release["image"]) != digest(entry["image"])]
            stack.append(entry)
    return stack


def contracts_after(history: list[Entry], image: str) -> list[str]:
    """Return the contract steps that were applied, or begun, after a release was last deployed."""
    wanted = digest(image)
    last = max((index for index, entry in enumerate(history) if _put_into_service(entry, wanted)), default=0)
    return [step for entry in history[last:] for step in entry.get("contract", [])]


def _put_into_service(entry: Entry, wanted: str) -> bool:
    return entry["command"] in {"deploy", "promote"} and entry["result"] == "ok" and digest(entry["image"]) == wanted


def _entry(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and all(name in entry for name in NEEDED) else None
