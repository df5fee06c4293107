"""Redis asks who comes; the cache forgets when it is full, and sessions are never forgotten."""

from collections.abc import Iterator
from typing import Any

import redis

from .finding import Finding, failed, passed, warned
from .production import Production

REFUSED = (redis.AuthenticationError, redis.exceptions.NoPermissionError)  # NOAUTH, WRONGPASS, NOPERM


def check_password(production: Production) -> Iterator[Finding]:
    """Ask each Redis without a password, and be refused."""
    for name, url in production.redis_servers.items():
        try:
            production.ask_redis(url, "PING", anonymous=True)
        except REFUSED:
            yield passed(f"{name}: refuses whoever has no password.")
        else:
            remedy = "Turn its default user off (ACL), or set requirepass; then put the password into the URL."
            yield failed(f"{name}: answers whoever reaches it, without a password.", remedy)


def check_cache(production: Production) -> Iterator[Finding]:
    """See that the cache has a limit, and makes room at it."""
    memory = _info(production, "REDIS_URL", "memory")
    if memory is None:
        yield _hidden("REDIS_URL", "maxmemory and maxmemory-policy")
        return
    policy, limit = str(memory.get("maxmemory_policy")), int(memory.get("maxmemory", 0))
    if not limit:
        yield failed("the cache has no maxmemory, so it grows until it is killed.", "Start it with --maxmemory 128mb.")
    elif policy == "noeviction":
        remedy = "Start it with --maxmemory-policy allkeys-lfu."
        yield failed("the cache evicts nothing (noeviction): full, it keeps what is old and takes nothing new.", remedy)
    elif not policy.startswith("allkeys-"):
        remedy = "Start it with --maxmemory-policy allkeys-lfu."
        yield warned(f"the cache evicts only what has an end ({policy}): the rest may fill it.", remedy)
    else:
        yield passed(f"the cache forgets at {limit / 2**20:.0f} MiB what is least used ({policy}).")


def check_sessions(production: Production) -> Iterator[Finding]:
    """See that what keeps sessions never evicts one, and has them again after a restart."""
    if "SESSION_REDIS_URL" not in production.redis_servers:
        return
    memory, disk = (_info(production, "SESSION_REDIS_URL", section) for section in ("memory", "persistence"))
    if memory is None or disk is None:
        yield _hidden("SESSION_REDIS_URL", "maxmemory-policy and appendonly")
        return
    policy, kept = str(memory.get("maxmemory_policy")), str(disk.get("aof_enabled")) == "1"
    if policy != "noeviction":
        remedy = "Give sessions a server of their own, with --maxmemory-policy noeviction."
        yield failed(f"a full server would sign people out ({policy}).", remedy)
    if not kept:
        yield failed("a restart would sign everybody out: nothing is written down.", "Start it with --appendonly yes.")
    if policy == "noeviction" and kept:
        yield passed("sessions are never evicted, and are there after a restart.")


def _info(production: Production, name: str, section: str) -> dict[str, Any] | None:
    """Return what a server says of itself; None where this user may not ask."""
    try:
        return dict(production.ask_redis(production.redis_servers[name], "INFO", section))
    except redis.exceptions.NoPermissionError:
        return None


def _hidden(name: str, what: str) -> Finding:
    remedy = f"Let an operator look: redis-cli CONFIG GET; or give the user +info. Wanted: {what}."
    return warned(f"the user in {name} may not ask for {what} (INFO).", remedy)
