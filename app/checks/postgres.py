"""Check that the database is a supported Postgres with checksums and timeouts."""

from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned

DRIVER = "postgresql+psycopg2"
TESTED, OLDEST = 18, 15  # the major version of all tests; the oldest version that still gets fixes
VERSION = "SELECT current_setting('server_version_num')::int"
CHECKSUMS = "SELECT current_setting('data_checksums')"
TIMEOUT_SETTINGS = ("statement_timeout", "idle_in_transaction_session_timeout")
TIMEOUTS = "SELECT setting::int FROM pg_settings WHERE name IN (%s, %s) ORDER BY name DESC"


def check_driver(context: CheckContext) -> Iterator[Finding]:
    """Check for Postgres and the driver that the application's timeouts depend on."""
    wrong = {name: url.drivername for name, url in context.databases.items() if url.drivername != DRIVER}
    for name, driver in wrong.items():
        yield failed(f"{name} is for {driver}.", "Use a Postgres server: postgresql://…")
    if not wrong:
        yield passed("Postgres with psycopg2.")


def check_version(context: CheckContext) -> Iterator[Finding]:
    """Check that the server still gets fixes."""
    [(number,)] = context.query(context.settings.MIGRATION_DATABASE_URL, VERSION)
    major = number // 10000
    if major < OLDEST:
        remedy = f"Upgrade to {TESTED}: python3 -m ops upgrade (docs/data.md)"
        yield warned(f"Postgres {major} no longer gets fixes.", remedy)
    else:
        yield passed(f"Postgres {major}" + ("." if major == TESTED else f"; this release was tested on {TESTED}."))


def check_checksums(context: CheckContext) -> Iterator[Finding]:
    """Check that Postgres detects damaged pages."""
    [(state,)] = context.query(context.settings.MIGRATION_DATABASE_URL, CHECKSUMS)
    if state == "on":
        yield passed("data checksums are on.")
    else:
        remedy = "Stop Postgres and run: pg_checksums --enable"
        yield warned("data checksums are off: Postgres does not detect damaged pages.", remedy)


def check_timeouts(context: CheckContext) -> Iterator[Finding]:
    """Check the timeouts of the application's sessions, and of any other session of its role."""
    role = context.settings.SQLALCHEMY_DATABASE_URI.username
    of_application, of_role = (_timeouts(context, defaults=defaults) for defaults in (False, True))
    for name in TIMEOUT_SETTINGS:
        if not of_application[name]:
            remedy = "Make sure that the pooler forwards startup parameters, or remove it."
            yield failed(f"{name} is off for the application, so a request may hold a connection forever.", remedy)
        elif not of_role[name]:
            remedy = f"ALTER ROLE {role} SET {name} = '30s', as deploy/postgres/roles.sh does"
            yield warned(f"{name} is off for other sessions of the role {role}, such as psql.", remedy)
    if all((*of_application.values(), *of_role.values())):
        limits = " and ".join(f"{name} of {of_application[name]} ms" for name in TIMEOUT_SETTINGS)
        yield passed(f"the application has {limits}; its role has defaults for both.")


def _timeouts(context: CheckContext, *, defaults: bool) -> dict[str, int]:
    url = context.settings.SQLALCHEMY_DATABASE_URI
    rows = context.query(url, TIMEOUTS, *TIMEOUT_SETTINGS, defaults=defaults)
    return {name: milliseconds for name, (milliseconds,) in zip(TIMEOUT_SETTINGS, rows, strict=True)}
