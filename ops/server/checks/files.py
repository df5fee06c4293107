"""Check the owners and permissions of secrets and settings."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ops.server import Server, credentials
from ops.server.checks.finding import Finding, failed, passed, warned

OTHERS = stat.S_IRWXG | stat.S_IRWXO
SECRET = re.compile(
    r"^\s*(?:export\s+)?([A-Z_]*(?:PASSWORD|SECRET|TOKEN|_KEY|_DSN)|[A-Z_]*DATABASE_URL|[A-Z_]*REDIS_URL)=\S",
    re.MULTILINE,
)


def check_secrets(server: Server) -> Iterator[Finding]:
    """Check that only its user may read each secret."""
    folder = server.folder / "secrets"
    found = [f"secrets/ has mode {_mode(folder):03o}"] * bool(_mode(folder) & OTHERS)
    users = {name: uid for uid, names in credentials.OWNERS.items() for name in names}
    paths = [path for secret in server.config["secrets"].values() if (path := Path(secret["file"])).exists()]
    for path in sorted(paths):
        if _mode(path) & OTHERS:
            found.append(f"{path.name} has mode {_mode(path):03o}")
        if path.stat().st_uid != users.get(path.name, path.stat().st_uid):
            found.append(f"{path.name} belongs to user {path.stat().st_uid}; {users[path.name]} reads it")
    if found:
        remedy = "sudo chmod 700 secrets && sudo chmod 600 secrets/*; then, for their owners: python3 -m ops init"
        yield failed(f"{'; '.join(found)}.", remedy)
    else:
        yield passed(f"{len(paths)} files, each readable by its user only.")


def check_settings(server: Server) -> Iterator[Finding]:
    """Check that .env has no secret and only its owner may change it."""
    path = server.folder / ".env"
    mode, named = _mode(path), SECRET.findall(path.read_text(encoding="utf-8"))
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield failed(f"others may write .env (mode {mode:03o}), which controls what runs here.", "chmod 600 .env")
    elif mode & OTHERS and named:
        yield failed(f".env has {', '.join(named)}, and others may read it (mode {mode:03o}).", "chmod 600 .env")
    elif mode & OTHERS:
        yield warned(f"others may read .env (mode {mode:03o}).", "chmod 600 .env")
    elif named:
        yield warned(
            f".env has {', '.join(named)}, which `docker inspect` shows.", "Move secrets to files in secrets/."
        )
    else:
        yield passed("only its owner may read .env, and it has no secret.")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
