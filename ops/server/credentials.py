"""The secrets of a server: which there are, who reads each, and how they are made."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import Callable

from ops.errors import PreconditionError

# The users in the images: ours, Postgres' and Redis', nginx', Grafana's.
APPLICATION, SERVERS, EDGE, GRAFANA = 10001, 999, 101, 472

OWNERS = {
    APPLICATION: ("secret_key", "database_url", "owner_database_url", "cache_url"),
    EDGE: ("webhook_url", "heartbeat_url"),
    GRAFANA: ("grafana_password",),
    SERVERS: (
        *("postgres_password", "owner_password", "app_password", "backup_password", "monitor_password"),
        *("restic_password", "restic_environment"),
        *("cache", "cache_acl", "sessions", "sessions_acl", "redis_passwords"),
    ),
}

# A file for what restic's storage asks for besides the password, in the form of a shell.
RESTIC = "# NAME='value', a line each, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n"

# What the cache may do: its own keys, the channel on which processes tell each other of changes, and no command
# besides those that app/cache/stores/redis.py and app/cache/stores/local.py send.
CACHE_RIGHTS = (
    "resetkeys ~cache:* resetchannels &cache:changed -@all +mget +set +del +hincrby +hgetall +dbsize +info +ping "
    "+publish +subscribe +unsubscribe +hello +auth +select +client|setinfo +client|setname"
)
SESSIONS_RIGHTS = "~* resetchannels -@all +@read +@write +@connection +@transaction +@scripting -@dangerous +info"

# Monitoring: what the server says of itself, and no key, no setting and no command of anybody's.
MONITOR_RIGHTS = "resetkeys resetchannels -@all +info +ping +hello +auth +select +client|setinfo +client|setname"


def missing(folder: Path) -> dict[str, str]:
    """Return the secrets that are not in the folder yet, with their text."""
    return Maker(folder).missing()


class Maker:
    """Makes secrets that fit one another: a password, and the URL or the access list that holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, str] = {}
        self.recipes: dict[str, Callable[[], str]] = {
            **dict.fromkeys(("secret_key", "postgres_password", "owner_password", "app_password"), password),
            **dict.fromkeys(("backup_password", "monitor_password", "restic_password"), password),
            "restic_environment": lambda: RESTIC,
            **dict.fromkeys(("webhook_url", "heartbeat_url"), lambda: ""),
            "grafana_password": password,
            **dict.fromkeys(("cache", "sessions"), password),
            "database_url": lambda: f"postgresql://app:{self.text('app_password')}@db:5432/app",
            "owner_database_url": lambda: f"postgresql://app_owner:{self.text('owner_password')}@db:5432/app",
            "cache_url": lambda: f"redis://cache:{self.text('cache')}@redis-cache:6379/0",
            "redis_passwords": lambda: json.dumps({monitor_url(name): password() for name in ("cache", "sessions")}),
            "cache_acl": lambda: self.access_list("cache", CACHE_RIGHTS),
            "sessions_acl": lambda: self.access_list("sessions", SESSIONS_RIGHTS),
        }

    def access_list(self, name: str, rights: str) -> str:
        """Return the access list of a Redis: its user's, and monitoring's."""
        passwords: dict[str, str] = json.loads(self.text("redis_passwords"))
        users = {name: (self.text(name), rights), "monitor": (passwords[monitor_url(name)], MONITOR_RIGHTS)}
        return access_list(users)

    def missing(self) -> dict[str, str]:
        """Make what is not there."""
        for name in self.recipes:
            if not (self.folder / name).exists():
                self.text(name)
        return self.made

    def text(self, name: str) -> str:
        """Return a secret: the one that is there, or a new one."""
        if name in self.made:
            return self.made[name]
        path = self.folder / name
        if not path.exists():
            self.made[name] = self.recipes[name]()
            return self.made[name]
        try:
            return path.read_text(encoding="utf-8").strip()
        except PermissionError as error:
            raise PreconditionError(
                f"{path} cannot be read, and what is missing depends on it. Run init with sudo."
            ) from error


def password() -> str:
    """Return 256 random bits, in characters that need no quoting in a URL, in SQL or in a shell."""
    return secrets.token_urlsafe(32)


def monitor_url(name: str) -> str:
    """Return the address under which redis-exporter looks for the password of a Redis."""
    return f"redis://monitor@redis-{name}:6379"


def access_list(users: dict[str, tuple[str, str]]) -> str:
    """Return a Redis ACL file: users with their rights, by their passwords' hashes, and no default one."""
    lines = ["user default off"]
    for user, (text, rights) in users.items():
        lines.append(f"user {user} on #{hashlib.sha256(text.encode()).hexdigest()} {rights}")
    return "\n".join(lines) + "\n"
