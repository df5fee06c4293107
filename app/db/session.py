"""Database access: short write transactions, single-statement reads, and a fast failure when it is unavailable."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Engine, Executable, Row, create_engine, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from app.db import engine, pool_metrics, schema_state
from app.db.circuit_breaker import CircuitBreaker, CircuitOpenError
from app.extensions import db, migrate
from app.observability import backend_errors, metrics, probes, tracing


class DatabaseUnavailableError(Exception):
    """A connection could not be opened, or broke."""


class DatabaseTimeoutError(DatabaseUnavailableError):
    """The database stopped responding for as long as a request may wait, so no other request should wait now."""


# The `error_type` label of each error. Any other error, such as a unique violation, comes from a working database.
ERROR_TYPES: dict[type[Exception], str] = {
    DatabaseTimeoutError: "timeout",
    DatabaseUnavailableError: "unavailable",
    CircuitOpenError: "circuit_open",
    PoolTimeoutError: "pool_timeout",
    OperationalError: "other",
    InternalError: "other",
}


def init_app(app: Flask) -> None:
    """Set up the engine, the migrations, the circuit breaker and the readiness probes."""
    hide_values = {"hide_parameters": True}  # in the texts of errors, which end up in logs
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine.engine_options(app.config) | hide_values
    db.init_app(app)
    migrate.init_app(app, db, compare_type=True, render_as_batch=True)
    with app.app_context():
        engine.add_listeners(db.engine)
        tracing.instrument_engine(app, db.engine)
        pool_metrics.instrument(db.engine)
        if db.engine.dialect.name == "sqlite":  # resolves a relative path against the instance folder, for Alembic too
            app.config["MIGRATION_DATABASE_URL"] = db.engine.url
        app.extensions["read_engine"] = db.engine.execution_options(**engine.READ_OPTIONS)
        app.extensions["probe_engine"] = _create_probe_engine(app)
    on_state_change = functools.partial(metrics.set_gauge, "circuit_breaker_open", backend="postgres")
    app.extensions["database_breaker"] = CircuitBreaker(failures=3, pause=1.0, on_state_change=on_state_change)
    for name, check in PROBES.items():
        probes.register(app, name, check, required=True)


@contextmanager
def transaction() -> Iterator[Session]:
    """Run the block in a transaction and commit it; inside another `transaction`, join that one.

    Commits pending changes of the session too. Raises DatabaseUnavailableError, or CircuitOpenError without waiting
    after recent failures.
    """
    session = db.session()
    if session.info.get("in_transaction"):
        yield session
        return
    session.info["in_transaction"] = True
    try:
        with _guard():
            yield session
            session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info["in_transaction"]


def read(statement: Executable, parameters: Mapping[str, Any] | None = None) -> list[Row[Any]]:
    """Return the rows of a single statement in autocommit: without BEGIN and ROLLBACK, a third of the round trips.

    Raises DatabaseUnavailableError, or CircuitOpenError without waiting after recent failures.
    """
    read_engine: Engine = current_app.extensions["read_engine"]
    with _guard(), read_engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        if read_engine.dialect.name == "postgresql":
            driver.autocommit = True  # SQLAlchemy's AUTOCOMMIT would send a SET each time
        try:
            return list(connection.execute(statement, parameters or {}))
        finally:
            if read_engine.dialect.name == "postgresql" and not driver.closed:
                driver.autocommit = False


@contextmanager
def _guard() -> Iterator[None]:
    """Count backend errors and open the circuit, so that requests fail fast instead of occupying all threads.

    It takes three failures to connect, but only one timeout: the requests queued behind it would each wait as long.
    """
    breaker: CircuitBreaker = current_app.extensions["database_breaker"]
    try:
        with (
            breaker.guard(DatabaseUnavailableError, trip_on=(DatabaseTimeoutError,), ignore=(PoolTimeoutError,)),
            _translate_driver_errors(),
        ):
            yield
    except tuple(ERROR_TYPES) as error:
        backend_errors.count("postgres", error, ERROR_TYPES)
        raise


@contextmanager
def _translate_driver_errors() -> Iterator[None]:
    """Raise DatabaseUnavailableError for the driver's errors that mean it."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or error.statement is None:  # the connection broke, or could not be opened
            timed_out = isinstance(error.orig, engine.ResponseTimeoutError)
            kind = DatabaseTimeoutError if timed_out else DatabaseUnavailableError
            raise kind(str(error.orig).partition("\n")[0]) from error
        raise


def _create_probe_engine(app: Flask) -> Engine:
    """Return an engine without a pool: a busy pool must not make the readiness probes fail."""
    if app.config["SQLALCHEMY_DATABASE_URI"].database in {None, "", ":memory:"}:
        read_engine: Engine = app.extensions["read_engine"]
        return read_engine  # it has one connection, on which two concurrent probes cannot both begin a transaction
    connect_args = engine.engine_options(app.config)["connect_args"]
    return create_engine(db.engine.url, poolclass=NullPool, connect_args=connect_args)


def _probe_connection() -> str:
    with current_app.extensions["probe_engine"].connect() as connection:
        connection.execute(text("SELECT 1"))
    return "connected"


def _probe_schema() -> str:
    with current_app.extensions["probe_engine"].connect() as connection:
        try:
            return schema_state.compare(connection)
        except schema_state.SchemaContractedError:
            # The operator who deployed the contract step decided that the serving release can do without. A release
            # that cannot is never started: `flask schema pending` and `flask db upgrade` refuse it.
            return "ahead"


PROBES = {"database": _probe_connection, "migrations": _probe_schema}  # each opens its own connection
