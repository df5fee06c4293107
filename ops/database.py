"""Which volume is the database's, and of which Postgres: lines of .env, which change when another one is filled."""

from __future__ import annotations

import json

from ops import commands, files, history
from ops.errors import Failure
from ops.progress import say, step
from ops.site import Site

VOLUME, MAJOR = "DB_VOLUME", "POSTGRES_MAJOR"
START_SECONDS = 900  # what was killed replays its WAL first
STOP_SECONDS = 180


def volume(site: Site) -> str:
    """Return the name of the volume that the compose file gives the database now."""
    return str(site.config["volumes"]["db"]["name"])


def change_over(site: Site, settings: dict[str, str], what: str) -> None:
    """Let the database run by other settings; killed meanwhile, the next command finishes it or starts the old one."""
    begin(site, settings[VOLUME], what)
    site.runner.change(site.compose.stop(*site.keepers, "db"), timeout=STOP_SECONDS)
    put_settings(site, settings)
    settle(site.fresh())


def begin(site: Site, new: str, what: str) -> None:
    """Write down that the database is to run on another volume."""
    files.write(site.restore_file, json.dumps({"volume": new, "replaced": volume(site), "what": what}))


def settle(site: Site) -> None:
    """Start the database on the volume that .env names, if a change from one to another is under way, and record it."""
    if not site.restore_file.exists():
        return
    under_way = json.loads(site.restore_file.read_text(encoding="utf-8"))
    changed = volume(site) == under_way["volume"]
    with step(f"start on {volume(site)}"):
        site.runner.change(site.compose.start_anew("db"), timeout=START_SECONDS)
        site.runner.change(site.compose.read_only("off"))
        site.runner.change(site.compose.start_anew("--force-recreate", "redis-cache"))  # it has answers from before
        site.runner.change(site.compose.start_carers(*site.keepers))
    details = {"image": "", "release": under_way["what"]}
    if changed:
        details.update(volume=under_way["volume"], replaced=under_way["replaced"])
    history.add(site.history_file, {"command": "restore", "result": "ok" if changed else "interrupted", **details})
    site.restore_file.unlink()


def put_settings(site: Site, settings: dict[str, str]) -> None:
    """Write settings into .env, all of them in one step."""
    path = site.folder / ".env"
    lines = path.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if line.partition("=")[0] not in settings]
    files.write(path, "\n".join([*others, *(f"{name}={value}" for name, value in settings.items()), ""]))


def clear_unfinished(site: Site) -> None:
    """Take away the volumes that restores have filled and that never became the database's."""
    known = {entry.get(name) for entry in history.entries(site.history_file) for name in ("volume", "replaced")}
    for name in site.runner.look(commands.volumes(site.name, commands.RESTORED)).split():
        if name not in known and name != volume(site):
            try:
                site.runner.change(commands.remove_volume(name))
            except Failure as failure:
                say(f"  the volume {name} stays: {failure}")
