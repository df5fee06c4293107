"""The database's volume and Postgres version: settings in .env, which a restore or an upgrade changes."""

from __future__ import annotations

import json

from ops import files
from ops.docker import commands
from ops.docker.compose import RESTORED_LABEL
from ops.errors import OpsError
from ops.progress import echo, step
from ops.release import history
from ops.server import Server

VOLUME, MAJOR = "DB_VOLUME", "POSTGRES_MAJOR"
START_SECONDS = 900  # crash recovery may replay much WAL
STOP_SECONDS = 180


def volume(server: Server) -> str:
    """Return the name of the live database's volume."""
    return str(server.config["volumes"]["db"]["name"])


def cut_over(server: Server, settings: dict[str, str], description: str) -> None:
    """Restart the database with other settings; after a kill the next command completes it or starts the old one."""
    record_change(server, settings[VOLUME], description)
    server.runner.execute(server.compose.stop(*server.backup_services, "db"), timeout=STOP_SECONDS)
    write_settings(server, settings)
    recover(server.fresh())


def record_change(server: Server, new: str, description: str) -> None:
    """Record a change to another volume, for `recover`."""
    text = json.dumps({"volume": new, "replaced": volume(server), "what": description})
    files.write(server.restore_file, text)


def recover(server: Server) -> None:
    """Complete a recorded change: start the database on the volume that .env names, and add it to the history."""
    if not server.restore_file.exists():
        return
    change = json.loads(server.restore_file.read_text(encoding="utf-8"))
    changed = volume(server) == change["volume"]
    with step(f"start on {volume(server)}"):
        server.runner.execute(server.compose.start_and_wait("db"), timeout=START_SECONDS)
        server.runner.execute(server.compose.read_only("off"))
        server.runner.execute(server.compose.start_and_wait("--force-recreate", "redis-cache"))  # its entries are stale
        server.runner.execute(server.compose.start_sidecars(*server.backup_services))
    details = {"image": "", "release": change["what"]}
    if changed:
        details.update(volume=change["volume"], replaced=change["replaced"])
    entry = {"command": "restore", "result": "ok" if changed else "interrupted", **details}
    server.runner.call("", history.add, server.history_file, entry)
    server.runner.call("", server.restore_file.unlink)


def write_settings(server: Server, settings: dict[str, str]) -> None:
    """Write settings to .env atomically."""
    path = server.folder / ".env"
    lines = path.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if line.partition("=")[0] not in settings]
    files.write(path, "\n".join([*others, *(f"{name}={value}" for name, value in settings.items()), ""]))


def remove_unused_volumes(server: Server) -> None:
    """Remove the volumes of restores that never reached the cutover."""
    known = {entry.get(name) for entry in history.entries(server.history_file) for name in ("volume", "replaced")}
    for name in server.runner.query(commands.volumes(server.name, RESTORED_LABEL)).split():
        if name not in known and name != volume(server):
            try:
                server.runner.execute(commands.remove_volume(name))
            except OpsError as failure:
                echo(f"  cannot remove the volume {name}: {failure}")
