"""Alembic's environment: runs as the schema owner, one upgrade at a time, with short lock timeouts and retries."""

import logging
import time
import warnings

import click
from alembic import context
from flask import current_app
from sqlalchemy import create_engine, inspect, pool, text
from sqlalchemy.exc import OperationalError

from app.db import schema_state
from app.models import AppliedMigration  # imports the other models too, for autogenerate

logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
logging.getLogger("alembic.autogenerate.compare").setLevel(logging.INFO)

# The full-text index exists on Postgres only; on SQLite there is none to compare, as intended.
warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")

APPLIED = AppliedMigration.__table__
APPLIED_SINCE = "f2a61b08d3c4"  # the migration that creates this table

ADVISORY_LOCK_KEY = 5107190  # an arbitrary number, but the same in every release
UPGRADE_WAIT_S = 60  # for another upgrade to end; one with only expand steps takes a few seconds
UPGRADE_POLL_S = 0.5

# Readers queue behind an ALTER that waits for a lock. Half of the application's statement timeout leaves such a reader
# enough time to succeed late instead of failing.
LOCK_TIMEOUT_S = min(3.0, current_app.config["DB_TIMEOUT"] / 2)
# Pauses before each retry. Together they outlast a transaction that the application left open: Postgres ends it after
# twice DB_TIMEOUT.
RETRY_PAUSES_S = (2, 4)
# Enough for an index on tens of millions of rows. A migration that needs more runs `SET statement_timeout` itself.
STATEMENT_TIMEOUT_S = 600

LOCK_ERRORS = {"55P03": "could not obtain a lock", "40P01": "deadlock with another transaction"}  # by SQLSTATE
REMEDY = "wait until it ends, or end it: SELECT pg_terminate_backend(PID)"
# Postgres hides state and age of other roles' sessions from this role, but neither their locks nor their names.
LOCK_HOLDERS = text("""
    SELECT pid, usename, application_name, state, (now() - xact_start)::interval(0) AS age,
           string_agg(DISTINCT relname, ', ') AS tables
    FROM pg_locks JOIN pg_stat_activity USING (pid) JOIN pg_class ON relation = pg_class.oid
    WHERE granted AND relation >= 16384 AND relkind IN ('r', 'p', 'm') AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 5 DESC NULLS LAST LIMIT 3""")
OTHER_UPGRADE = text("""
    SELECT pid, usename, application_name, state, (now() - backend_start)::interval(0) AS age, NULL AS tables
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :key AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")

migrate = current_app.extensions["migrate"]
url = current_app.config["MIGRATION_DATABASE_URL"]
postgres = url.get_backend_name() == "postgresql"


def configure(**options):
    """Configure Alembic with one transaction for each migration, because an autocommit block ends its transaction."""
    context.configure(
        target_metadata=migrate.db.metadata, transaction_per_migration=True, **migrate.configure_args, **options
    )


def run_offline():
    """Print the SQL (`flask db upgrade --sql`) without a connection, with the timeouts of an online run."""
    configure(url=url.render_as_string(hide_password=False), literal_binds=True, on_version_apply=record)
    if postgres:
        context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S * 1000:.0f}ms'")
        context.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Apply the migrations; on Postgres under an advisory lock, and with retries after a lock timeout."""
    with connect() as connection:
        configure(connection=connection)
        if postgres and not context.get_context().opts.get("dont_mutate"):  # so that `flask db current` never waits
            acquire_advisory_lock(connection)
            run_with_retries(connection)
        else:
            run_once(connection)


def connect():
    """Open the one connection, with the timeouts as session defaults, to which RESET returns."""
    limits = f"-c lock_timeout={LOCK_TIMEOUT_S * 1000:.0f} -c statement_timeout={STATEMENT_TIMEOUT_S * 1000}"
    arguments = {"application_name": "migrations", "connect_timeout": 5, "options": limits} if postgres else {}
    try:
        return create_engine(url, poolclass=pool.NullPool, connect_args=arguments).connect()
    except OperationalError as error:
        raise failure(f"the database is unavailable ({first_line(error)}); check MIGRATION_DATABASE_URL") from None


def acquire_advisory_lock(connection):
    """Take the advisory lock, which the session holds until it ends.

    Polls instead of waiting inside Postgres: a waiting statement holds a snapshot, and the other upgrade's CREATE INDEX
    CONCURRENTLY would wait for that snapshot to end.
    """
    deadline = time.monotonic() + UPGRADE_WAIT_S
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK_KEY}):
        connection.commit()
        if time.monotonic() > deadline:
            other = describe_sessions(connection, OTHER_UPGRADE, key=ADVISORY_LOCK_KEY)
            raise failure(f"another upgrade has been running for over {UPGRADE_WAIT_S} s: {other}; {REMEDY}")
        time.sleep(UPGRADE_POLL_S)
    connection.commit()


def run_with_retries(connection):
    """Run the upgrade; after a lock timeout, pause and run the remaining migrations again."""
    for pause in (*RETRY_PAUSES_S, None):
        try:
            return run_once(connection)
        except OperationalError as error:
            code = getattr(error.orig, "pgcode", None)
            if code not in LOCK_ERRORS:
                if connection.invalidated or code == "57014":
                    raise failure(first_line(error)) from None
                raise
        connection.rollback()
        reset_timeouts(context.get_context())
        holders = describe_sessions(connection, LOCK_HOLDERS)
        if pause is None:
            attempts = len(RETRY_PAUSES_S) + 1
            raise failure(f"{LOCK_ERRORS[code]} within {LOCK_TIMEOUT_S:g} s, {attempts} times; {holders}; {REMEDY}")
        click.echo(f"{LOCK_ERRORS[code]}; {holders}; retrying in {pause} s", err=True)
        time.sleep(pause)
    return None


def run_once(connection):
    """Run the command; an upgrade of a schema that is ahead of this release does nothing."""
    if context.get_context().opts["fn"].__name__ == "upgrade" and (unknown := newer_revisions(connection)):
        click.echo(f"The schema is ahead of this release, which does not know {unknown}: nothing to do.", err=True)
        return
    configure(connection=connection, on_version_apply=(reset_timeouts, record) if postgres else record)
    with context.begin_transaction():
        context.run_migrations()


def newer_revisions(connection):
    """Return the revisions of newer releases if the schema is ahead, else ""; raise if no upgrade can help."""
    ours = schema_state.known_revisions(context.get_context().script)
    try:
        schema_state.compare(connection, ours)
        return ", ".join(sorted(schema_state.applied_revisions(connection, ours).keys() - ours.keys()))
    except schema_state.SchemaBehindError:
        return ""
    except schema_state.SchemaIncompatibleError as error:
        raise failure(str(error)) from None
    finally:
        connection.rollback()


def record(ctx, step, heads, **_kwargs):
    """Record in the same transaction what was applied or reverted; a stamp records all ancestors of its revision."""
    if not has_applied_table(ctx, heads):
        return
    if step.is_stamp:
        ctx.execute(APPLIED.delete())
        added = schema_state.with_ancestors(heads, schema_state.known_revisions(ctx.script))
    else:
        ctx.execute(APPLIED.delete().where(APPLIED.c.revision == step.up_revision_id))
        added = [step.up_revision_id] if step.is_upgrade else []
    for revision in sorted(added):
        contract = schema_state.is_contract(ctx.script.get_revision(revision))
        ctx.execute(APPLIED.insert().values(revision=revision, contract=contract))


def has_applied_table(ctx, heads):
    """Whether the table exists after a step; offline, according to the scripts."""
    if ctx.as_sql:
        return APPLIED_SINCE in schema_state.with_ancestors(heads, schema_state.known_revisions(ctx.script))
    return inspect(ctx.connection).has_table(APPLIED.name)


def reset_timeouts(ctx, **_kwargs):
    """Undo what a migration has SET for itself."""
    for name in ("lock_timeout", "statement_timeout"):
        ctx.connection.execute(text(f"RESET {name}"))


def describe_sessions(connection, query, **values):
    """Describe the blocking sessions, as far as this role may see them."""
    connection.commit()
    found = [
        f"pid {row.pid} ({row.application_name or 'no name'}, role {row.usename}, {row.state or 'state unknown'}"
        f"{f', for {row.age}' if row.age else ''}){f' holds {row.tables}' if row.tables else ''}"
        for row in connection.execute(query, values)
    ]
    connection.rollback()
    return "; ".join(found) or "no session blocks it now"


def failure(reason):
    """Return the error that ends the command with one line and exit code 1."""
    return click.ClickException(
        f"Migration failed: {reason}. Migrations applied before it remain, and the serving release is unaffected."
    )


def first_line(error):
    """Return the driver's message, without SQLAlchemy's additions."""
    return str(error.orig).strip().partition("\n")[0]


if context.is_offline_mode():
    run_offline()
else:
    run_online()
