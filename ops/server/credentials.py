"""The secrets of a server: their owners, and how to generate them."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import Callable

from ops.errors import PreconditionError

# User ids in the images: the application's, Postgres' and Redis', nginx's, Grafana's.
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

# Credentials of restic's storage backend, as shell variables.
RESTIC = "# NAME='value', a line each, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n"

# The cache's keys and invalidation channel, and the commands that app/cache/stores/ sends.
CACHE_PERMISSIONS = (
    "resetkeys ~cache:* resetchannels &cache:changed -@all +mget +set +del +dbsize +info +ping "
    "+publish +subscribe +unsubscribe +hello +auth +select +client|setinfo +client|setname"
)
SESSIONS_PERMISSIONS = "~* resetchannels -@all +@read +@write +@connection +@transaction +@scripting -@dangerous +info"

# Monitoring: INFO only.
MONITOR_PERMISSIONS = "resetkeys resetchannels -@all +info +ping +hello +auth +select +client|setinfo +client|setname"


def missing(folder: Path) -> dict[str, str]:
    """Return the missing secrets and their new values."""
    return Generator(folder).missing()


class Generator:
    """Generates secrets that depend on each other: a password, and the URL or access list that contains it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generated: dict[str, str] = {}
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
            "cache_acl": lambda: self.access_list("cache", CACHE_PERMISSIONS),
            "sessions_acl": lambda: self.access_list("sessions", SESSIONS_PERMISSIONS),
        }

    def access_list(self, name: str, permissions: str) -> str:
        """Return a Redis access list for its user and for monitoring."""
        passwords: dict[str, str] = json.loads(self.text("redis_passwords"))
        users = {name: (self.text(name), permissions), "monitor": (passwords[monitor_url(name)], MONITOR_PERMISSIONS)}
        return access_list(users)

    def missing(self) -> dict[str, str]:
        """Generate every missing secret."""
        for name in self.recipes:
            if not (self.folder / name).exists():
                self.text(name)
        return self.generated

    def text(self, name: str) -> str:
        """Return an existing secret, or generate it."""
        if name in self.generated:
            return self.generated[name]
        path = self.folder / name
        if not path.exists():
            self.generated[name] = self.recipes[name]()
            return self.generated[name]
        try:
            return path.read_text(encoding="utf-8").strip()
        except PermissionError as error:
            raise PreconditionError(
                f"Cannot read {path}, which missing secrets depend on. Run init with sudo."
            ) from error


def password() -> str:
    """Return 256 random bits, URL-safe, so that URLs, SQL and shells need no quoting."""
    return secrets.token_urlsafe(32)


def monitor_url(name: str) -> str:
    """Return the URL by which redis-exporter looks up a password."""
    return f"redis://monitor@redis-{name}:6379"


def access_list(users: dict[str, tuple[str, str]]) -> str:
    """Return a Redis ACL file with password hashes and without the default user."""
    lines = ["user default off"]
    for user, (text, permissions) in users.items():
        lines.append(f"user {user} on #{hashlib.sha256(text.encode()).hexdigest()} {permissions}")
    return "\n".join(lines) + "\n"
