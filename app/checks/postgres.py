"""The database is one for production: a server that is supported, finds damage, and ends what takes too long."""

from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production

DRIVER = "postgresql+psycopg2"
TRIED, OLDEST = 18, 15  # the major version that all tests run on; the oldest that still gets fixes
VERSION = "SELECT current_setting('server_version_num')::int"
CHECKSUMS = "SELECT current_setting('data_checksums')"
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
TIMEOUTS = "SELECT setting::int FROM pg_settings WHERE name IN (%s, %s) ORDER BY name DESC"


def check_driver(production: Production) -> Iterator[Finding]:
    """See that it is Postgres, by the driver that the application's limits are made for."""
    wrong = {name: url.drivername for name, url in production.databases.items() if url.drivername != DRIVER}
    for name, driver in wrong.items():
        yield failed(f"{name} is for {driver}.", "Give the URL of a Postgres server: postgresql://…")
    if not wrong:
        yield passed("Postgres, by psycopg2.")


def check_version(production: Production) -> Iterator[Finding]:
    """See that the server still gets fixes."""
    [(number,)] = production.ask(production.settings.MIGRATION_DATABASE_URL, VERSION)
    major = number // 10000
    if major < OLDEST:
        yield warned(
            f"Postgres {major} gets no fixes any more.", f"Move to {TRIED}: python3 -m ops upgrade (docs/data.md)"
        )
    else:
        yield passed(f"Postgres {major}" + ("." if major == TRIED else f"; {TRIED} is what this release was tried on."))


def check_checksums(production: Production) -> Iterator[Finding]:
    """See that a page which the disk has damaged is noticed, and not handed out."""
    [(state,)] = production.ask(production.settings.MIGRATION_DATABASE_URL, CHECKSUMS)
    if state == "on":
        yield passed("each page has a checksum.")
    else:
        yield warned("nobody notices when the disk damages a page.", "Stop Postgres, and: pg_checksums --enable")


def check_timeouts(production: Production) -> Iterator[Finding]:
    """See that statements and idle transactions end, of the application and of whoever else comes as its role."""
    url = production.settings.SQLALCHEMY_DATABASE_URI
    own, role = (_timeouts(production, plain=plain) for plain in (False, True))
    for name in LIMITS:
        if not own[name]:
            remedy = "See that what stands in between hands the session's settings on, or leave it out."
            yield failed(f"{name} of the application is off, so one request may hold a connection for ever.", remedy)
        elif not role[name]:
            remedy = f"ALTER ROLE {url.username} SET {name} = '30s'; as deploy/postgres/roles.sh does"
            yield warned(f"{name} is off for whoever else comes as {url.username}, such as a person's psql.", remedy)
    if all((*own.values(), *role.values())):
        ends = " and ".join(f"{own[name]} ms ({name})" for name in LIMITS)
        yield passed(f"the application's sessions end after {ends}, and those of others who come as its role end too.")


def _timeouts(production: Production, *, plain: bool) -> dict[str, int]:
    rows = production.ask(production.settings.SQLALCHEMY_DATABASE_URI, TIMEOUTS, *LIMITS, plain=plain)
    return {name: milliseconds for name, (milliseconds,) in zip(LIMITS, rows, strict=True)}
