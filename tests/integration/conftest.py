"""Servers for the whole run; a database, an application and a clean slate for each test."""

import contextlib
import itertools
import shutil
from datetime import timedelta

import pytest
from sqlalchemy import delete

from app import create_app
from app.cache import current_cache
from app.cache.tags import ALL
from app.extensions import db
from app.models import ApiToken, IdempotencyKey, Product
from app.services import tokens
from deploy.migration_check.postgres import install_programs
from tests.support.integration.client import bearer
from tests.support.integration.postgres_server import Postgres
from tests.support.integration.servers import Gunicorn, Valkey, temporary_folder

TEMPLATE = "migrated"
names = itertools.count(1)
copies = []  # what fresh_database() has made: server and name of each


@pytest.fixture(scope="session")
def folder():
    """A folder for all that the servers of this run write."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="session")
def programs(folder):
    """Postgres' programs, where its user can reach them."""
    (folder / "programs").mkdir()
    return install_programs(folder / "programs")


@pytest.fixture(scope="session")
def postgres(folder, programs):
    """A Postgres 18 with one migrated database, from which the others are copied."""
    with running_postgres(folder, programs) as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres(folder, programs):
    """Another one, to be stopped and frozen."""
    with running_postgres(folder, programs) as server:
        yield server


@contextlib.contextmanager
def running_postgres(folder, programs):
    """Start a Postgres with a migrated database, and end it after the block."""
    home = folder / f"postgres-{next(names)}"
    home.mkdir()
    server = Postgres(home, programs).start()
    try:
        yield prepared(server)
    finally:
        server.kill()
        shutil.rmtree(home)


def prepared(server):
    """Make what the tests copy from, and the role whose members must give a password."""
    server.sql("CREATE ROLE needs_password")
    server.sql(f"CREATE DATABASE {TEMPLATE}")
    migrate(server.url(TEMPLATE))
    return server


@pytest.fixture(scope="module")
def valkey(folder):
    """An empty Valkey 9."""
    server = Valkey(folder).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def sqlite_template(folder):
    """A migrated SQLite file."""
    path = folder / "template.db"
    migrate(f"sqlite:///{path}")
    return path


def migrate(url):
    """Apply all migrations."""
    app = create_app("testing", {"TEST_DATABASE_URL": url})
    done = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert done.exit_code == 0, done.output
    dispose(app)


def dispose(app):
    """Close all connections of an application."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def fresh_database(server):
    """Copy the migrated database, and return the copy's URL; it is there until the module's end."""
    name = f"test_{next(names)}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    copies.append((server, name))
    return server.url(name)


@pytest.fixture(scope="module", autouse=True)
def copies_dropped():
    """Drop a module's databases with it: there are disks that take minutes to forget those of a whole run."""
    yield
    while copies:
        server, name = copies.pop()
        if server.running():
            server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def postgres_url(postgres):
    """A migrated database of this module's own on Postgres."""
    return fresh_database(postgres)


@pytest.fixture(scope="module")
def sqlite_url(folder, sqlite_template):
    """A migrated SQLite file of this module's own."""
    path = folder / f"test-{next(names)}.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request):
    """A migrated database of this module's own, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="module")
def module_app(database_url):
    """An application on the database."""
    app = create_app("testing", {"TEST_DATABASE_URL": database_url})
    yield app
    dispose(app)


@pytest.fixture
def app(module_app):
    """The application with an empty database and an empty cache."""
    wipe(module_app)
    return module_app


def wipe(app):
    """Empty the database and the cache."""
    with app.app_context():
        with db.engine.begin() as connection:
            for model in (IdempotencyKey, Product, ApiToken):
                connection.execute(delete(model))
        current_cache().invalidate([ALL])


@pytest.fixture
def client(app):
    """A client of the application."""
    return app.test_client()


@pytest.fixture
def auth(app):
    """The headers of a client that may do everything."""
    return new_token(app)


def new_token(app, *scopes, lifetime=timedelta(days=1)):
    """Make a token, by default for every scope, and return the header that carries it."""
    with app.app_context():
        return bearer(tokens.create(f"token-{next(names)}", scopes or ("products", "cache"), lifetime))


@pytest.fixture(scope="module")
def serve(folder):
    """Start Gunicorn servers with the given environment; all are ended with the module."""
    started = []

    def start(database_url, redis_url="", **environ):
        server = Gunicorn(folder, DATABASE_URL=database_url, REDIS_URL=redis_url, **environ)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="module")
def auth_for():
    """Make a token in the database of a server that runs, and return the header that carries it."""

    def make(database_url):
        app = create_app("testing", {"TEST_DATABASE_URL": database_url})
        try:
            return new_token(app)
        finally:
            dispose(app)

    return make
