"""The database: short transactions for writes, single statements for reads, and a quick no when it is away."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, Executable, MetaData, Row, create_engine, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import NullPool

from app.db import engine, pool_metrics
from app.db import schema_state as migration_state
from app.db.circuit_breaker import Breaker, OpenError
from app.observability import backend_errors, metrics, probes, tracing

# Alembic can only drop or change a constraint that has a name, so every one gets a predictable one.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class DatabaseAwayError(Exception):
    """The database does not answer: a connection could not be made, or broke, or kept silent too long."""


class DatabaseSilentError(DatabaseAwayError):
    """It has fallen silent, for as long as a request can wait, so nobody else should wait for it now."""


# How each is counted; what is none of them, such as a value that is not unique, is an answer.
KINDS: dict[type[Exception], str] = {
    DatabaseSilentError: "timeout",
    DatabaseAwayError: "unavailable",
    OpenError: "circuit_open",
    PoolTimeoutError: "pool_timeout",
    OperationalError: "other",
    InternalError: "other",
}


class Base(DeclarativeBase):
    """What every model shares."""

    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()

if TYPE_CHECKING:

    class Model(Base):
        """The base of every model, as a type checker can follow it."""

        __abstract__ = True
else:
    Model = db.Model


def init_app(app: Flask) -> None:
    """Plug in the engine, the migrations and the two probes that watch them."""
    hidden = {"hide_parameters": True}  # from the texts of errors, where values would end up in logs
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine.options(app.config) | hidden
    db.init_app(app)
    migrate.init_app(app, db, compare_type=True, render_as_batch=True)
    with app.app_context():
        engine.prepare(db.engine)
        tracing.watch_engine(app, db.engine)
        pool_metrics.watch(db.engine)
        if db.engine.dialect.name == "sqlite":  # a relative path means the instance folder, to Alembic too
            app.config["MIGRATION_DATABASE_URL"] = db.engine.url
        app.extensions["reads"] = db.engine.execution_options(**engine.READS)
        app.extensions["database_prober"] = _prober(app)
    told = functools.partial(metrics.put, "circuit_breaker_open", backend="postgres")
    app.extensions["database_breaker"] = Breaker(failures=3, pause=1.0, told=told)
    for name, check in PROBES.items():
        probes.register(app, name, check, essential=True)


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction around the block, committed at its end; inside another `transaction`, a part of that.

    What the session did before the block is committed with it. Raises DatabaseAwayError, at once when it was found
    away a moment ago.
    """
    session = db.session()
    if session.info.get("in_block"):
        yield session
        return
    session.info["in_block"] = True
    try:
        with _guarded():
            yield session
            session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info["in_block"]


def read(statement: Executable, parameters: Mapping[str, Any] | None = None) -> list[Row[Any]]:
    """Return the rows of a read on its own: without BEGIN and ROLLBACK, a third of the round trips.

    Raises DatabaseAwayError, at once when it was found away a moment ago.
    """
    reads: Engine = current_app.extensions["reads"]
    with _guarded(), reads.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        if reads.dialect.name == "postgresql":
            driver.autocommit = True  # SQLAlchemy's own AUTOCOMMIT would send a SET each time
        try:
            return list(connection.execute(statement, parameters or {}))
        finally:
            if reads.dialect.name == "postgresql" and not driver.closed:
                driver.autocommit = False


@contextmanager
def _guarded() -> Iterator[None]:
    """Count a database that is away, and soon say so at once instead of making all threads wait for it.

    Three times where it cannot be reached, once where it falls silent: whoever has queued up behind that wait would
    otherwise get another one.
    """
    breaker: Breaker = current_app.extensions["database_breaker"]
    try:
        with (
            breaker.guard(DatabaseAwayError, decisive=(DatabaseSilentError,), neutral=(PoolTimeoutError,)),
            _told_apart(),
        ):
            yield
    except tuple(KINDS) as error:
        backend_errors.count("postgres", error, KINDS)
        raise


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turn what the driver says when the database is away into an error that says so."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or error.statement is None:  # broke, or could not be made
            kind = DatabaseSilentError if isinstance(error.orig, engine.SilenceError) else DatabaseAwayError
            raise kind(str(error.orig).partition("\n")[0]) from error
        raise


def _prober(app: Flask) -> Engine:
    """An engine without a pool: whether the server answers must not depend on how busy this process is."""
    if app.config["SQLALCHEMY_DATABASE_URI"].database in {None, "", ":memory:"}:
        reads: Engine = app.extensions["reads"]
        return reads  # there is one connection, and two probes at once cannot both begin a transaction on it
    connect_args = engine.options(app.config)["connect_args"]
    return create_engine(db.engine.url, poolclass=NullPool, connect_args=connect_args)


def _answers() -> str:
    with current_app.extensions["database_prober"].connect() as connection:
        connection.execute(text("SELECT 1"))
    return "connected"


def _schema() -> str:
    with current_app.extensions["database_prober"].connect() as connection:
        try:
            return migration_state.compare(connection)
        except migration_state.SchemaContractedError:
            # Whoever allowed the step has judged that the release that serves can do without. A release that cannot is
            # not brought in: `flask schema pending` and `flask db upgrade` refuse it.
            return "ahead"


PROBES = {"database": _answers, "migrations": _schema}  # each opens a connection of its own while it runs
