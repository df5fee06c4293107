"""Check the health, ports and logs of the services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ops.docker.compose import service
from ops.server import Server
from ops.server.checks.finding import Finding, failed, passed, warned

HEALTHY = {"healthy", "running", "starting"}
ONE_OFF = ("migrate", "offsite-fetch", "restore")
PUBLIC = "nginx"
LOOPBACK = ("127.0.0.1", "::1")
OVER_SSH = ("prometheus", "alertmanager", "grafana")  # users reach them by ssh -L


def check_services(server: Server) -> Iterator[Finding]:
    """Check that each service is running and healthy."""
    states = {row["Service"]: row.get("Health") or row["State"] for row in _containers(server)}
    expected = [name for name in server.config["services"] if name not in (*ONE_OFF, service(server.traffic.other))]
    unhealthy = {name: states.get(name, "missing") for name in expected if states.get(name) not in HEALTHY}
    if unhealthy:
        names = ", ".join(f"{name} is {state}" for name, state in unhealthy.items())
        yield failed(f"{names}.", f"python3 -m ops logs {next(iter(unhealthy))}")
    else:
        yield passed(f"{len(expected)} services run, and each with a health check is healthy.")


def check_ports(server: Server) -> Iterator[Finding]:
    """Check that only nginx publishes ports, except monitoring on the loopback address."""
    found = [
        (row["Service"], port)
        for row in _containers(server)
        for port in row.get("Publishers") or []
        if port.get("PublishedPort")
    ]
    others = {(name, _address(port), port["URL"]) for name, port in found if name != PUBLIC}
    remedy = "Remove `ports:`; to inspect it: docker compose exec"
    network = sorted({f"{name} ({address})" for name, address, url in others if url not in LOOPBACK})
    local = sorted({f"{name} ({address})" for name, address, url in others if url in LOOPBACK and name not in OVER_SSH})
    if network:
        yield failed(f"published to the network, past nginx and any firewall: {', '.join(network)}.", remedy)
    if local:
        yield warned(f"published to every user of this machine: {', '.join(local)}.", remedy)
    if not network and not local:
        yield passed("only nginx publishes ports.")


def check_logs(server: Server) -> Iterator[Finding]:
    """Check that each container's log has a size limit."""
    services = server.config["services"].items()
    unlimited = sorted(name for name, known in services if not _is_limited(known.get("logging") or {}))
    if unlimited:
        remedy = 'Set for each: logging: { driver: local, options: { max-size: 20m, max-file: "5" } }'
        yield warned(f"logs without a limit: {', '.join(unlimited)}.", remedy)
    else:
        yield passed("each container's log has a limit.")


def _is_limited(logging: dict[str, Any]) -> bool:
    has_size = (logging.get("options") or {}).get("max-size")
    return bool(has_size) or logging.get("driver") in {"local", "none", "journald"}


def _containers(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.runner.query(server.compose.ps()).splitlines()]


def _address(port: dict[str, Any]) -> str:
    return f"{port['URL'] or '0.0.0.0'}:{port['PublishedPort']}"  # noqa: S104 - Docker's default
