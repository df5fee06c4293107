"""Servers for the whole run, and for each test a database and an application without data."""

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
copies = []  # server and name of each database that fresh_database() created


@pytest.fixture(scope="session")
def folder():
    """A folder for the files of all servers of this run."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="session")
def programs(folder):
    """Postgres's programs, in a folder that its user can read."""
    (folder / "programs").mkdir()
    return install_programs(folder / "programs")


@pytest.fixture(scope="session")
def postgres(folder, programs):
    """A Postgres 18 with one migrated database, the template of the others."""
    with running_postgres(folder, programs) as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres(folder, programs):
    """A second server, for tests that stop or freeze it."""
    with running_postgres(folder, programs) as server:
        yield server


@contextlib.contextmanager
def running_postgres(folder, programs):
    """Run a Postgres with a migrated database for the block."""
    home = folder / f"postgres-{next(names)}"
    home.mkdir()
    server = Postgres(home, programs).start()
    try:
        yield prepared(server)
    finally:
        server.kill()
        shutil.rmtree(home)


def prepared(server):
    """Create the template database and the role whose members need a password."""
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
    completed = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert completed.exit_code == 0, completed.output
    dispose(app)


def dispose(app):
    """Close all connections of an application."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def fresh_database(server):
    """Copy the template database and return the copy's URL; the module's end drops it."""
    name = f"test_{next(names)}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    copies.append((server, name))
    return server.url(name)


@pytest.fixture(scope="module", autouse=True)
def _drop_copies():
    """Drop a module's databases: on some disks, dropping those of a whole run at the end takes minutes."""
    yield
    while copies:
        server, name = copies.pop()
        if server.running():
            server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def postgres_url(postgres):
    """A migrated Postgres database for this module."""
    return fresh_database(postgres)


@pytest.fixture(scope="module")
def sqlite_url(folder, sqlite_template):
    """A migrated SQLite file for this module."""
    path = folder / f"test-{next(names)}.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request):
    """A migrated database for this module, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="module")
def module_app(database_url):
    """An application with the module's database."""
    app = create_app("testing", {"TEST_DATABASE_URL": database_url})
    yield app
    dispose(app)


@pytest.fixture
def app(module_app):
    """The application, with an empty database and an empty cache."""
    wipe(module_app)
    return module_app


def wipe(app):
    """Delete all rows and invalidate the cache."""
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
    """The headers of a client with every scope."""
    return new_token(app)


def new_token(app, *scopes, lifetime=timedelta(days=1)):
    """Create a token, by default with every scope, and return its header."""
    with app.app_context():
        return bearer(tokens.create(f"token-{next(names)}", scopes or ("products", "cache"), lifetime))


@pytest.fixture(scope="module")
def serve(folder):
    """Return a function that starts Gunicorn with these settings; the module's end stops the servers."""
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
    """Return a function that creates a token in a running server's database and returns its header."""

    def make(database_url):
        app = create_app("testing", {"TEST_DATABASE_URL": database_url})
        try:
            return new_token(app)
        finally:
            dispose(app)

    return make
