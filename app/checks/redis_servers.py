"""Check that Redis requires a password, that the cache evicts keys, and that sessions are never evicted."""

from collections.abc import Iterator
from typing import Any

import redis

from .context import CheckContext
from .finding import Finding, failed, passed, warned

ACCESS_ERRORS = (redis.AuthenticationError, redis.exceptions.NoPermissionError)  # NOAUTH, WRONGPASS, NOPERM


def check_password(context: CheckContext) -> Iterator[Finding]:
    """Check that each Redis refuses a client without a password."""
    for name, url in context.redis_servers.items():
        try:
            context.redis_command(url, "PING", anonymous=True)
        except ACCESS_ERRORS:
            yield passed(f"{name}: refuses clients without a password.")
        else:
            remedy = "Disable its default user (ACL) or set requirepass, then add the password to the URL."
            yield failed(f"{name}: accepts clients without a password.", remedy)


def check_cache(context: CheckContext) -> Iterator[Finding]:
    """Check that the cache has a memory limit and evicts keys at it."""
    memory = _info(context, "REDIS_URL", "memory")
    if memory is None:
        yield _not_permitted("REDIS_URL", "maxmemory and maxmemory-policy")
        return
    policy, limit = str(memory.get("maxmemory_policy")), int(memory.get("maxmemory", 0))
    remedy = "Start it with --maxmemory-policy allkeys-lfu."
    if not limit:
        yield failed("the cache has no maxmemory and grows until it is killed.", "Start it with --maxmemory 128mb.")
    elif policy == "noeviction":
        yield failed("the cache never evicts (noeviction): once full, it stores nothing new.", remedy)
    elif not policy.startswith("allkeys-"):
        yield warned(f"the cache evicts only keys with a TTL ({policy}): others may fill it.", remedy)
    else:
        yield passed(f"the cache evicts keys at {limit / 2**20:.0f} MiB ({policy}).")


def check_sessions(context: CheckContext) -> Iterator[Finding]:
    """Check that the session store never evicts, and persists to disk."""
    if "SESSION_REDIS_URL" not in context.redis_servers:
        return
    memory, disk = (_info(context, "SESSION_REDIS_URL", section) for section in ("memory", "persistence"))
    if memory is None or disk is None:
        yield _not_permitted("SESSION_REDIS_URL", "maxmemory-policy and appendonly")
        return
    policy, persistent = str(memory.get("maxmemory_policy")), str(disk.get("aof_enabled")) == "1"
    if policy != "noeviction":
        remedy = "Use a separate server for sessions, with --maxmemory-policy noeviction."
        yield failed(f"a full server would sign users out ({policy}).", remedy)
    if not persistent:
        yield failed("a restart would sign all users out: persistence is off.", "Start it with --appendonly yes.")
    if policy == "noeviction" and persistent:
        yield passed("sessions are never evicted and survive a restart.")


def _info(context: CheckContext, name: str, section: str) -> dict[str, Any] | None:
    """Return a section of INFO, or None if the user lacks the permission."""
    try:
        return dict(context.redis_command(context.redis_servers[name], "INFO", section))
    except redis.exceptions.NoPermissionError:
        return None


def _not_permitted(name: str, settings: str) -> Finding:
    remedy = f"Check as an operator with redis-cli CONFIG GET, or grant the user +info. Relevant: {settings}."
    return warned(f"the user in {name} may not run INFO, which shows {settings}.", remedy)
