"""The history of this server's commands: one JSON object per line, append-only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ops.lock import user

ACTIVATING = ("deploy", "promote", "rollback")
REQUIRED = ("command", "image", "release", "result")

Entry = dict[str, Any]


def add(path: Path, entry: Entry) -> None:
    """Append an entry and flush it to disk."""
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "by": user(), **entry})
    is_truncated = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if is_truncated else "") + line + "\n")
        file.flush()
        os.fsync(file.fileno())


def digest(image: str) -> str:
    """Return the image's digest, which is the same under every name, registry and tag."""
    return image.rpartition("@")[2]


def entries(path: Path) -> list[Entry]:
    """Return all entries, oldest first, without truncated or incomplete lines."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [entry for entry in map(_parse, lines) if entry]


def releases(history: list[Entry]) -> list[Entry]:
    """Return the releases that a rollback can activate, oldest first; the last one is active.

    A rollback removes the releases after its target, so that two rollbacks go back two releases.
    """
    stack: list[Entry] = []
    for entry in history:
        if entry["result"] != "ok" or entry["command"] not in ACTIVATING:
            continue
        digests = [digest(release["image"]) for release in stack]
        if entry["command"] == "rollback" and digest(entry["image"]) in digests:
            del stack[digests.index(digest(entry["image"])) + 1 :]
        else:
            stack = [release for release in stack if digest(release["image"]) != digest(entry["image"])]
            stack.append(entry)
    return stack


def contracts_after(history: list[Entry], image: str) -> list[str]:
    """Return the contract steps that were applied or begun after a release was last deployed."""
    target = digest(image)
    last = max((index for index, entry in enumerate(history) if _is_deploy(entry, target)), default=0)
    return [step for entry in history[last:] for step in entry.get("contract", [])]


def _is_deploy(entry: Entry, target: str) -> bool:
    return entry["command"] in {"deploy", "promote"} and entry["result"] == "ok" and digest(entry["image"]) == target


def _parse(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and all(name in entry for name in REQUIRED) else None
