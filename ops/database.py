"""Which volume is the database's: a line of .env. A restore fills another volume, and then changes that line."""

from __future__ import annotations

import json

from ops import commands, files, history
from ops.errors import Failure
from ops.progress import say, step
from ops.site import Site

SETTING = "DB_VOLUME"
START_SECONDS = 900  # what was killed replays its WAL first
STOP_SECONDS = 180


def volume(site: Site) -> str:
    """Return the name of the volume that the compose file gives the database now."""
    return str(site.config["volumes"]["db"]["name"])


def change_over(site: Site, new: str, what: str) -> None:
    """Let the database run on another volume; killed meanwhile, the next command finishes it or starts the old one."""
    old = volume(site)
    files.write(site.restore_file, json.dumps({"volume": new, "replaced": old, "what": what}))
    site.runner.change(site.compose.stop(*site.keepers, "db"), timeout=STOP_SECONDS)
    name_volume(site, new)
    settle(site.fresh())


def settle(site: Site) -> None:
    """Start the database on the volume that .env names, if a change from one to another is under way, and record it."""
    if not site.restore_file.exists():
        return
    under_way = json.loads(site.restore_file.read_text(encoding="utf-8"))
    changed = volume(site) == under_way["volume"]
    with step(f"start on {volume(site)}"):
        site.runner.change(site.compose.start_anew("db"), timeout=START_SECONDS)
        site.runner.change(site.compose.start_anew("--force-recreate", "redis-cache"))  # it has answers from before
        site.runner.change(site.compose.start_carers(*site.keepers))
    details = {"image": "", "release": under_way["what"]}
    if changed:
        details.update(volume=under_way["volume"], replaced=under_way["replaced"])
    history.add(site.history_file, {"command": "restore", "result": "ok" if changed else "interrupted", **details})
    site.restore_file.unlink()


def name_volume(site: Site, name: str) -> None:
    """Write the volume's name into .env, in one step."""
    path = site.folder / ".env"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(f"{SETTING}=")]
    files.write(path, "\n".join([*lines, f"{SETTING}={name}", ""]))


def kept(site: Site) -> list[str]:
    """Return the volumes that a restore has replaced, and that are still there, oldest first."""
    replaced = [str(entry["replaced"]) for entry in history.entries(site.history_file) if "replaced" in entry]
    there = set(site.runner.look(commands.volumes(site.name)).split())
    return [name for name in dict.fromkeys(replaced) if name in there and name != volume(site)]


def clear_unfinished(site: Site) -> None:
    """Take away the volumes that restores have filled and that never became the database's."""
    known = {entry.get(name) for entry in history.entries(site.history_file) for name in ("volume", "replaced")}
    for name in site.runner.look(commands.volumes(site.name, commands.RESTORED)).split():
        if name not in known and name != volume(site):
            try:
                site.runner.change(commands.remove_volume(name))
            except Failure as failure:
                say(f"  the volume {name} stays: {failure}")
