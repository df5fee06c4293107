"""What runs is well, its logs have a limit, and nobody but nginx is open to the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ops.docker.compose import service
from ops.server import Server
from ops.server.checks.finding import Finding, failed, passed, warned

WELL = {"healthy", "running", "starting"}
ENDS = ("migrate", "offsite-fetch", "restore")  # with what they are for
OPEN = "nginx"
LOOPBACK = ("127.0.0.1", "::1")
BY_TUNNEL = ("prometheus", "alertmanager", "grafana")  # whoever may sign in to this machine may look at them


def check_services(server: Server) -> Iterator[Finding]:
    """See that what should run does, and says of itself that it is well."""
    states = {row["Service"]: row.get("Health") or row["State"] for row in _containers(server)}
    wanted = [name for name in server.config["services"] if name not in (*ENDS, service(server.traffic.other))]
    ill = {name: states.get(name, "not there") for name in wanted if states.get(name) not in WELL}
    if ill:
        names = ", ".join(f"{name} is {state}" for name, state in ill.items())
        yield failed(f"{names}.", f"python3 -m ops logs {next(iter(ill))}")
    else:
        yield passed(f"{len(wanted)} services run, and those that say how they are are well.")


def check_ports(server: Server) -> Iterator[Finding]:
    """See that no other service than nginx has a port on this machine, but for what is looked at by a tunnel."""
    found = [
        (row["Service"], port)
        for row in _containers(server)
        for port in row.get("Publishers") or []
        if port.get("PublishedPort")
    ]
    others = {(name, _address(port), port["URL"]) for name, port in found if name != OPEN}
    remedy = "Take `ports:` out; to look inside: docker compose exec"
    far = sorted({f"{name} ({address})" for name, address, url in others if url not in LOOPBACK})
    near = sorted({f"{name} ({address})" for name, address, url in others if url in LOOPBACK and name not in BY_TUNNEL})
    if far:
        yield failed(f"open to the network, past nginx: {', '.join(far)}. Docker's ports go past a firewall.", remedy)
    if near:
        yield warned(f"open to everybody on this machine: {', '.join(near)}.", remedy)
    if not far and not near:
        yield passed("only nginx has ports on this machine.")


def check_logs(server: Server) -> Iterator[Finding]:
    """See that no container's log can fill the disk."""
    services = server.config["services"].items()
    endless = sorted(name for name, known in services if not _bounded(known.get("logging") or {}))
    if endless:
        remedy = 'Give each logging: { driver: local, options: { max-size: 20m, max-file: "5" } }'
        yield warned(f"logs without an end: {', '.join(endless)}.", remedy)
    else:
        yield passed("each container's log has a limit.")


def _bounded(logging: dict[str, Any]) -> bool:
    return bool((logging.get("options") or {}).get("max-size")) or logging.get("driver") in {
        "local",
        "none",
        "journald",
    }


def _containers(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.runner.query(server.compose.ps()).splitlines()]


def _address(port: dict[str, Any]) -> str:
    return f"{port['URL'] or '0.0.0.0'}:{port['PublishedPort']}"  # noqa: S104 - what Docker does without one
