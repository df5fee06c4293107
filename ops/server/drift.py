"""Services whose containers run an older definition than the Compose file's."""

from __future__ import annotations

import json

from ops.server import Server


def report(server: Server) -> str:
    """Return how to apply changed service definitions, which a deploy does not."""
    changed = changed_services(server)
    if not changed:
        return ""
    return (
        f"the definition of {', '.join(changed)} has changed; a deploy does not apply it. To apply it, with a short "
        f"interruption: docker compose up --detach --no-deps {' '.join(changed)}"
    )


def changed_services(server: Server) -> list[str]:
    """Return the stateful services whose containers have another definition than the Compose file."""
    wanted = dict(line.split() for line in server.runner.query(server.compose.hashes()).splitlines())
    running = [json.loads(line) for line in server.runner.query(server.compose.ps()).splitlines()]
    found = {}
    for container in running:
        labels = dict(label.partition("=")[::2] for label in container["Labels"].split(","))
        found[container["Service"]] = labels.get("com.docker.compose.config-hash")
    recreated = {"migrate", "certbot", *server.backup_services, *server.monitoring_services}  # by each deploy
    lasting = sorted(name for name in wanted if name not in recreated and not name.startswith("web-"))
    return [name for name in lasting if found.get(name) not in {None, wanted[name]}]
