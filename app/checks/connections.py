"""Connections add up: what all processes may open at one moment fits into what Postgres takes."""

from collections.abc import Iterator

import psycopg2

from .finding import Finding, failed, passed, warned
from .production import Limits, Pooler, Production

OTHERS = {
    "migration": 1,
    "backups": 4,  # a dump: what keeps its moment, pg_dump, pg_dumpall, and what looks at the rows; WAL is not counted
    "monitoring": 5,  # all that its role may have (deploy/postgres/roles.sh)
}
OPERATORS = 5  # a person's psql, a `flask token create`
POOLER_CLIENTS = 5  # PgBouncer's health check, this check, what operators run
FEWER = "WEB_REPLICAS, WEB_CONCURRENCY or GUNICORN_THREADS"


def check(production: Production) -> Iterator[Finding]:
    """Add up what reaches Postgres."""
    if not production.pooled:
        yield add_up("web", production.web.connections, f" ({production.web})", production.limits)
        return
    pooler = pooler_of(production)
    if pooler:
        yield add_up("PgBouncer", pooler.pool, "", production.limits)
    else:
        reason = f"{production.hosts[-1]} does not say how many connections it opens."
        yield warned(reason, f"See that it leaves {production.limits.open} for all.")


def pooler_of(production: Production) -> Pooler | None:
    """Return what stands in between, if it says so."""
    try:
        return production.pooler
    except psycopg2.Error:
        return None


def add_up(who: str, number: int, how: str, limits: Limits) -> Finding:
    """Compare what WHO and all others may open with what Postgres has."""
    total = number + sum(OTHERS.values())
    parts = " + ".join([f"{number} {who}{how}", *(f"{count} {name}" for name, count in OTHERS.items())])
    has = f"{limits.open} of the {limits.maximum} of Postgres are not reserved"
    reason, needed = f"{total} connections = {parts}; {has}.", total + OPERATORS + limits.reserved
    if total + OPERATORS <= limits.open:
        return passed(reason)
    if total <= limits.open:
        return warned(f"{reason} That leaves fewer than {OPERATORS} for people.", remedy(who, needed))
    return failed(reason, remedy(who, needed))


def remedy(who: str, needed: int) -> str:
    """Return what to change, in .env, for so many connections."""
    raised = f"raise DB_CONNECTIONS to {needed}, and DB_MEMORY with it"
    if who == "PgBouncer":
        return f"Lower PGBOUNCER_POOL, or {raised}."
    return f"Lower {FEWER}, or {raised}, or put PgBouncer in between (DATABASE_HOST in .env.example)."


def check_clients(production: Production) -> Iterator[Finding]:
    """Compare what the application opens to PgBouncer, where that stands in between, with what it takes."""
    pooler = pooler_of(production) if production.pooled else None
    if not pooler:
        return
    web = production.web
    total = web.connections + POOLER_CLIENTS
    parts = f"{web.connections} web ({web}) + {POOLER_CLIENTS} others"
    reason = f"{total} connections to PgBouncer = {parts}; it takes {pooler.clients}."
    if total <= pooler.clients:
        yield passed(reason)
    else:
        yield failed(reason, f"Lower {FEWER}, or raise PGBOUNCER_CLIENTS to {total}.")


def check_pooler(production: Production) -> Iterator[Finding]:
    """What stands in between lets the application through, and its statements end when DB_TIMEOUT says so."""
    if not production.pooled:
        return
    url, wanted = production.settings.SQLALCHEMY_DATABASE_URI, round(production.settings.DB_TIMEOUT * 1000)
    sql = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    [(found,)] = production.ask(url, sql)
    reason = f"through {url.host} a statement may take {found} ms; DB_TIMEOUT wants {wanted}."
    anew = f"Make it anew: docker compose up --detach --no-deps {url.host}"
    yield passed(reason) if found == wanted else warned(reason, anew)
