"""Check that all connections that may be open concurrently fit into Postgres's limit."""

from collections.abc import Iterator

import psycopg2

from .context import CheckContext, Limits, Pooler
from .finding import Finding, failed, passed, warned

OTHERS = {
    "migration": 1,
    "backups": 4,  # a dump: the snapshot holder, pg_dump, pg_dumpall and the row counter; WAL streaming is separate
    "monitoring": 5,  # the connection limit of its role (deploy/postgres/roles.sh)
}
OPERATORS = 5  # psql sessions, `flask token create`
POOLER_CLIENTS = 5  # PgBouncer's health check, this check, operators' commands
WEB_SETTINGS = "WEB_REPLICAS, WEB_CONCURRENCY or GUNICORN_THREADS"


def check(context: CheckContext) -> Iterator[Finding]:
    """Add up the connections to Postgres."""
    if not context.uses_pooler:
        yield add_up("web", context.web.connections, f" ({context.web})", context.limits)
        return
    pooler = find_pooler(context)
    if pooler:
        yield add_up("PgBouncer", pooler.pool, "", context.limits)
    else:
        reason = f"{context.hosts[-1]} does not report how many connections it opens."
        yield warned(reason, f"Make sure that all connections together stay below {context.limits.available}.")


def find_pooler(context: CheckContext) -> Pooler | None:
    """Return the pooler's limits, or None if it does not report them."""
    try:
        return context.pooler
    except psycopg2.Error:
        return None


def add_up(client: str, number: int, calculation: str, limits: Limits) -> Finding:
    """Compare the connections of CLIENT and of all others with Postgres's limit."""
    total = number + sum(OTHERS.values())
    parts = " + ".join([f"{number} {client}{calculation}", *(f"{count} {name}" for name, count in OTHERS.items())])
    reason = f"{total} connections = {parts}; Postgres has {limits.available} of {limits.maximum} not reserved."
    needed = total + OPERATORS + limits.reserved
    if total + OPERATORS <= limits.available:
        return passed(reason)
    if total <= limits.available:
        return warned(f"{reason} That leaves fewer than {OPERATORS} for operators.", remedy(client, needed))
    return failed(reason, remedy(client, needed))


def remedy(client: str, needed: int) -> str:
    """Return what to change in .env."""
    raise_limit = f"raise DB_CONNECTIONS to {needed}, and DB_MEMORY with it"
    if client == "PgBouncer":
        return f"Lower PGBOUNCER_POOL, or {raise_limit}."
    return f"Lower {WEB_SETTINGS}, or {raise_limit}, or add PgBouncer (DATABASE_HOST in .env.example)."


def check_clients(context: CheckContext) -> Iterator[Finding]:
    """Compare the application's connections with PgBouncer's client limit."""
    pooler = find_pooler(context) if context.uses_pooler else None
    if not pooler:
        return
    web = context.web
    total = web.connections + POOLER_CLIENTS
    parts = f"{web.connections} web ({web}) + {POOLER_CLIENTS} others"
    reason = f"{total} connections to PgBouncer = {parts}; it accepts {pooler.clients}."
    if total <= pooler.clients:
        yield passed(reason)
    else:
        yield failed(reason, f"Lower {WEB_SETTINGS}, or raise PGBOUNCER_CLIENTS to {total}.")


def check_pooler(context: CheckContext) -> Iterator[Finding]:
    """Check that the pooler accepts the application and applies its statement timeout."""
    if not context.uses_pooler:
        return
    url, required = context.settings.SQLALCHEMY_DATABASE_URI, round(context.settings.DB_TIMEOUT * 1000)
    sql = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    [(actual,)] = context.query(url, sql)
    reason = f"through {url.host}, statement_timeout is {actual} ms; DB_TIMEOUT requires {required} ms."
    recreate = f"Recreate it: docker compose up --detach --no-deps {url.host}"
    yield passed(reason) if actual == required else warned(reason, recreate)
