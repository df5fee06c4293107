"""Alembic's environment: runs as the schema's owner, one upgrade at a time, and waits for no lock for long."""

import logging
import time
import warnings

import click
from alembic import context
from flask import current_app
from sqlalchemy import create_engine, inspect, pool, text
from sqlalchemy.exc import OperationalError

from app.db import schema_state as migration_state
from app.models import AppliedMigration  # which makes the other tables known too

logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
logging.getLogger("alembic.autogenerate.compare").setLevel(logging.INFO)

# The index for the text filter is Postgres' alone; on SQLite there is none to compare, as intended.
warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")

APPLIED = AppliedMigration.__table__
APPLIED_SINCE = "f2a61b08d3c4"  # the migration that makes this table

UPGRADE_KEY = 5107190  # of the advisory lock; any number, but the same in every release, or they would not meet at it
UPGRADE_WAIT = 60  # seconds to wait for another upgrade; one of expand steps alone takes a few
UPGRADE_POLL = 0.5

# Whoever reads the table queues behind an ALTER that queues behind a transaction. Half of what the application gives a
# statement leaves such a reader time for its own work, so that it answers late instead of never.
LOCK_TIMEOUT = min(3.0, current_app.config["DB_TIMEOUT"] / 2)
# Before each further attempt. Together they outlast a transaction that the application left open: Postgres ends it
# after twice DB_TIMEOUT.
PAUSES = (2, 4)
# An index on tens of millions of rows is built in this time. What takes longer has gone wrong, or says `SET` itself.
STATEMENT_TIMEOUT = 600

LOCK_ERRORS = {"55P03": "a lock was not to be had", "40P01": "two transactions waited for each other"}
REMEDY = "wait until it is over, or end it: SELECT pg_terminate_backend(PID)"
# What anybody may read: of other roles' sessions Postgres hides the state and the age, but neither locks nor names.
HOLDERS = text("""
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
    """Tell Alembic what the models say; each migration is one transaction, because a block in autocommit ends it."""
    context.configure(
        target_metadata=migrate.db.metadata, transaction_per_migration=True, **migrate.configure_args, **options
    )


def run_offline():
    """Print the SQL (`flask db upgrade --sql`) without a connection, with the limits that the real run has."""
    configure(url=url.render_as_string(hide_password=False), literal_binds=True, on_version_apply=record)
    if postgres:
        context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT * 1000:.0f}ms'")
        context.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}s'")
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Apply the migrations; on Postgres alone and with limits, and again when a lock was not to be had."""
    with connect() as connection:
        configure(connection=connection)
        if postgres and not context.get_context().opts.get("dont_mutate"):  # so that `flask db current` never waits
            wait_for_turn(connection)
            run_with_patience(connection)
        else:
            run_once(connection)


def connect():
    """Open the one connection that holds the lock and has the limits, as defaults to which RESET returns."""
    limits = f"-c lock_timeout={LOCK_TIMEOUT * 1000:.0f} -c statement_timeout={STATEMENT_TIMEOUT * 1000}"
    arguments = {"application_name": "migrations", "connect_timeout": 5, "options": limits} if postgres else {}
    try:
        return create_engine(url, poolclass=pool.NullPool, connect_args=arguments).connect()
    except OperationalError as error:
        raise failure(f"the database does not answer ({first_line(error)}); check MIGRATION_DATABASE_URL") from None


def wait_for_turn(connection):
    """Take the advisory lock, which the session keeps until it ends.

    It asks again and again instead of waiting inside Postgres: a statement that waits holds a snapshot, for whose end
    the other upgrade's CREATE INDEX CONCURRENTLY would wait.
    """
    deadline = time.monotonic() + UPGRADE_WAIT
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": UPGRADE_KEY}):
        connection.commit()
        if time.monotonic() > deadline:
            other = sessions(connection, OTHER_UPGRADE, key=UPGRADE_KEY)
            raise failure(f"another upgrade has been at work for over {UPGRADE_WAIT} s: {other}; {REMEDY}")
        time.sleep(UPGRADE_POLL)
    connection.commit()


def run_with_patience(connection):
    """Run the upgrade; when a lock was not to be had, run what is left of it again after a pause."""
    for pause in (*PAUSES, None):
        try:
            return run_once(connection)
        except OperationalError as error:
            code = getattr(error.orig, "pgcode", None)
            if code not in LOCK_ERRORS:
                if connection.invalidated or code == "57014":
                    raise failure(first_line(error)) from None
                raise
        connection.rollback()
        reset_limits(context.get_context())
        holders = sessions(connection, HOLDERS)
        if pause is None:
            raise failure(
                f"{LOCK_ERRORS[code]} within {LOCK_TIMEOUT:g} s, {len(PAUSES) + 1} times; {holders}; {REMEDY}"
            )
        click.echo(f"{LOCK_ERRORS[code]}; {holders}; trying again in {pause} s", err=True)
        time.sleep(pause)
    return None


def run_once(connection):
    """Run the command; an upgrade of a schema that is ahead of this release has nothing to do."""
    if context.get_context().opts["fn"].__name__ == "upgrade" and (unknown := newer_revisions(connection)):
        click.echo(f"The schema is ahead of this release, which does not know {unknown}: nothing to do.", err=True)
        return
    configure(connection=connection, on_version_apply=(reset_limits, record) if postgres else record)
    with context.begin_transaction():
        context.run_migrations()


def newer_revisions(connection):
    """Return the applied revisions of newer releases that leave nothing to do; raises what ends a hopeless upgrade."""
    ours = migration_state.known(context.get_context().script)
    try:
        migration_state.compare(connection, ours)
        return ", ".join(sorted(migration_state.applied_revisions(connection, ours).keys() - ours.keys()))
    except migration_state.SchemaBehindError:
        return ""
    except migration_state.SchemaUnfitError as error:
        raise failure(str(error)) from None
    finally:
        connection.rollback()


def record(ctx, step, heads, **_what):
    """Note in the same transaction what was applied or taken back; a stamp declares all that leads to it."""
    if not has_record(ctx, heads):
        return
    if step.is_stamp:
        ctx.execute(APPLIED.delete())
        gained = migration_state.leading_to(heads, migration_state.known(ctx.script))
    else:
        ctx.execute(APPLIED.delete().where(APPLIED.c.revision == step.up_revision_id))
        gained = [step.up_revision_id] if step.is_upgrade else []
    for revision in sorted(gained):
        contract = migration_state.is_contract(ctx.script.get_revision(revision))
        ctx.execute(APPLIED.insert().values(revision=revision, contract=contract))


def has_record(ctx, heads):
    """Whether the table is there after a step; where the SQL is only printed, as far as the scripts tell."""
    if ctx.as_sql:
        return APPLIED_SINCE in migration_state.leading_to(heads, migration_state.known(ctx.script))
    return inspect(ctx.connection).has_table(APPLIED.name)


def reset_limits(ctx, **_what):
    """Take back what a migration has SET for itself."""
    for name in ("lock_timeout", "statement_timeout"):
        ctx.connection.execute(text(f"RESET {name}"))


def sessions(connection, query, **values):
    """Return who is in the way, as far as this role may know."""
    connection.commit()
    found = [
        f"pid {row.pid} ({row.application_name or 'no name'}, role {row.usename}, {row.state or 'state unknown'}"
        f"{f', for {row.age}' if row.age else ''}){f' holds {row.tables}' if row.tables else ''}"
        for row in connection.execute(query, values)
    ]
    connection.rollback()
    return "; ".join(found) or "nobody is in the way now"


def failure(what):
    """Return the error that ends the command with one line and exit code 1."""
    return click.ClickException(
        f"Not migrated: {what}. What was applied before stays, and the release that serves goes on serving."
    )


def first_line(error):
    """Return what the driver says, without SQLAlchemy's additions."""
    return str(error.orig).strip().partition("\n")[0]


if context.is_offline_mode():
    run_offline()
else:
    run_online()
