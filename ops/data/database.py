"""Which volume is the database's, and of which Postgres: lines of .env, which change when another one is filled."""

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
START_SECONDS = 900  # what was killed replays its WAL first
STOP_SECONDS = 180


def volume(server: Server) -> str:
    """Return the name of the volume that the compose file gives the database now."""
    return str(server.config["volumes"]["db"]["name"])


def change_over(server: Server, settings: dict[str, str], what: str) -> None:
    """Let the database run by other settings; killed meanwhile, the next command finishes it or starts the old one."""
    begin(server, settings[VOLUME], what)
    server.runner.execute(server.compose.stop(*server.backup_services, "db"), timeout=STOP_SECONDS)
    put_settings(server, settings)
    recover(server.fresh())


def begin(server: Server, new: str, what: str) -> None:
    """Write down that the database is to run on another volume."""
    files.write(server.restore_file, json.dumps({"volume": new, "replaced": volume(server), "what": what}))


def recover(server: Server) -> None:
    """Start the database on the volume that .env names, if a change from one to another is under way, and record it."""
    if not server.restore_file.exists():
        return
    under_way = json.loads(server.restore_file.read_text(encoding="utf-8"))
    changed = volume(server) == under_way["volume"]
    with step(f"start on {volume(server)}"):
        server.runner.execute(server.compose.start_and_wait("db"), timeout=START_SECONDS)
        server.runner.execute(server.compose.read_only("off"))
        server.runner.execute(
            server.compose.start_and_wait("--force-recreate", "redis-cache")
        )  # it has answers from before
        server.runner.execute(server.compose.start_sidecars(*server.backup_services))
    details = {"image": "", "release": under_way["what"]}
    if changed:
        details.update(volume=under_way["volume"], replaced=under_way["replaced"])
    history.add(server.history_file, {"command": "restore", "result": "ok" if changed else "interrupted", **details})
    server.restore_file.unlink()


def put_settings(server: Server, settings: dict[str, str]) -> None:
    """Write settings into .env, all of them in one step."""
    path = server.folder / ".env"
    lines = path.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if line.partition("=")[0] not in settings]
    files.write(path, "\n".join([*others, *(f"{name}={value}" for name, value in settings.items()), ""]))


def clear_unfinished(server: Server) -> None:
    """Take away the volumes that restores have filled and that never became the database's."""
    known = {entry.get(name) for entry in history.entries(server.history_file) for name in ("volume", "replaced")}
    for name in server.runner.query(commands.volumes(server.name, RESTORED_LABEL)).split():
        if name not in known and name != volume(server):
            try:
                server.runner.execute(commands.remove_volume(name))
            except OpsError as failure:
                echo(f"  the volume {name} stays: {failure}")
