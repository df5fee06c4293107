"""The `status` command: colours, services, certificate, backups, the running command and the history."""

from __future__ import annotations

import json
from typing import Any

from ops import lock
from ops.data import backups
from ops.docker import commands, nginx
from ops.errors import OpsError
from ops.progress import echo
from ops.release import colours, history
from ops.release.state import COLOURS, read_journal
from ops.server import Server, certificates

SHOWN = 5


def status(server: Server, *, as_json: bool) -> None:
    """Print the status as text or JSON."""
    found = collect(server)
    echo(json.dumps(found, indent=2) if as_json else format_status(found))


def collect(server: Server) -> dict[str, Any]:
    """Return the status."""
    traffic = server.traffic
    response = nginx.get_public(server, "/health/version")
    entries = history.entries(server.history_file)
    return {
        "name": server.name,
        "active_colour": traffic.colour,
        "canary_percent": traffic.percent,
        "outside": {"status": response.status, "body": response.body[:300]},
        "colours": {colour: _colour(server, colour, entries) for colour in COLOURS},
        "services": _services(server),
        "certificate": certificates.read_status(server),
        "backups": backups.job_statuses(server),
        "under_way": lock.holder(server.lock_file),
        "interrupted": _is_unfinished(server) and not lock.holder(server.lock_file),
        "releases": [entry["image"] for entry in history.releases(entries)],
        "history": entries[-SHOWN:],
    }


def _is_unfinished(server: Server) -> bool:
    return bool(read_journal(server.journal_file)) or server.restore_file.exists()


def _colour(server: Server, colour: str, entries: list[history.Entry]) -> dict[str, Any]:
    found = colours.containers(server, colour)
    deployed = {entry["image"] for entry in entries}
    return {
        "containers": [f"{container['State']['Status']} {_health(container)}".strip() for container in found],
        "release": next((_labels(container)["org.opencontainers.image.revision"] for container in found), None),
        "image": next((_image(server, container, deployed) for container in found), None),
    }


def _health(container: dict[str, Any]) -> str:
    running = container["State"]["Status"] == "running"
    return str(container["State"].get("Health", {}).get("Status", "")) if running else ""


def _labels(container: dict[str, Any]) -> dict[str, str]:
    return {"org.opencontainers.image.revision": "unknown", **(container["Config"].get("Labels") or {})}


def _image(server: Server, container: dict[str, Any], deployed: set[str]) -> str:
    """Return the digest with which a container's image was deployed or pulled, or its id if it was built here."""
    name = str(container["Image"])
    try:
        digests = server.runner.query_json(commands.inspect_image(name))[0].get("RepoDigests") or []
    except OpsError:  # a container may outlive its image
        digests = []
    return str(next((digest for digest in digests if digest in deployed), (*digests, name)[0]))


def _services(server: Server) -> dict[str, str]:
    rows = [json.loads(line) for line in server.runner.query(server.compose.ps()).splitlines()]
    others = [row for row in rows if not row["Service"].startswith("web-") and row["Service"] != "migrate"]
    return {row["Service"]: row["Health"] or row["State"] for row in others}


def format_status(found: dict[str, Any]) -> str:
    """Format the status as text."""
    lines = [f"{found['name']}: from outside, /health/version returns {found['outside']['status']} {_flat(found)}"]
    for colour, seen in found["colours"].items():
        lines.append(f"  web-{colour:6} {_share(found, colour):8} {seen['release'] or '-':14} {_states(seen)}")
    lines += [f"  {name:10} {state}" for name, state in sorted(found["services"].items())]
    lines.append(certificates.format_status(found["certificate"]))
    lines += ["backups:", backups.format_jobs(found["backups"])]
    if found["under_way"]:
        lines.append(f"  under way: {found['under_way']}")
    if found["interrupted"]:
        lines.append("  the last command was interrupted; the next one recovers from it")
    lines.append("last:")
    lines += [f"  {_line(entry)}" for entry in found["history"]] or ["  nothing yet"]
    return "\n".join(lines)


def _flat(found: dict[str, Any]) -> str:
    return " ".join(str(found["outside"]["body"]).split())


def _share(found: dict[str, Any], colour: str) -> str:
    if colour == found["active_colour"]:
        return f"{100 - found['canary_percent']} %"
    return f"{found['canary_percent']} %" if found["canary_percent"] else "idle"


def _states(seen: dict[str, Any]) -> str:
    return ", ".join(seen["containers"]) or "no container"


def _line(entry: dict[str, Any]) -> str:
    took = f"{entry['seconds']} s" if "seconds" in entry else ""
    return f"{entry['time']} {entry['command']:9} {entry['result']:11} {entry['release']:14} {took:8} {entry['by']}"
