"""At startup, production validates its settings before it listens; any password reaches Postgres unchanged."""

import os
import socket
import subprocess
import sys
from urllib.parse import quote

import pytest

from app import create_app
from tests.integration.conftest import TEMPLATE, dispose
from tests.support.helpers import ROOT
from tests.support.integration.servers import Gunicorn

SPECIAL = [
    "p@ss:w/rd",
    "a%40b",
    "ab$cd${PATH}",
    "#?&=+",
    "two words",
    "'\"\\`;--",
    "ünïcödé→",
    "%",
    "[::1]",
    "x" * 200,
]


@pytest.fixture
def start(folder):
    """Run Gunicorn with only the given variables on a port in use; return its exit code and output."""

    def run(**environ):
        server = Gunicorn(folder)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": str(holder.getsockname()[1])}
            options = {"capture_output": True, "text": True, "timeout": 30}
            done = subprocess.run(server.command(), check=False, cwd=folder, env=base | environ, **options)
        assert "in use" not in done.stderr  # it did not try to listen
        return done.returncode, done.stderr

    return run


@pytest.mark.guarantee("Production does not start with a missing, weak or malformed setting, and names all of them")
def test_nothing_set(start):
    """Without settings the environment is production, which reports every missing variable and exits."""
    code, errors = start()
    assert code != 0
    assert "Invalid settings for the production environment" in errors
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "TRUSTED_HOSTS"):
        assert f"  {name}: " in errors


@pytest.mark.guarantee("Production does not start with a missing, weak or malformed setting, and names all of them")
def test_every_weak_value_is_named(start):
    """One error names all invalid settings and contains none of their values."""
    secrets = {"SECRET_KEY": "a" * 40, "DATABASE_URL": "mysql://u:hunter2@db/x", "REDIS_URL": "http://:hunter2@x"}
    code, errors = start(**secrets, TRUSTED_HOSTS="shop.example", DB_POOL_SIZE="many", FLASK_DEBUG="1")
    assert (code != 0, "hunter2" in errors) == (True, False)
    for name in (*secrets, "DB_POOL_SIZE", "FLASK_DEBUG"):
        assert f"  {name}: " in errors
    assert "TRUSTED_HOSTS" not in errors


def test_unknown_environment(start):
    """An unknown FLASK_ENV is rejected."""
    code, errors = start(FLASK_ENV="prod")
    assert (code != 0, "'prod' is unknown" in errors) == (True, True)


def test_importing_the_settings_reads_nothing():
    """`import config` succeeds with an empty environment."""
    command = [sys.executable, "-c", "import config"]
    subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=True, timeout=20)


@pytest.fixture(scope="module")
def role(postgres):
    """Return a function that creates a role with a password (SCRAM) and returns its name."""
    created = []

    def make(password):
        name = f"password_{len(created)}"
        created.append(name)
        postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD %s IN ROLE needs_password", password)
        return name

    yield make
    for name in created:
        postgres.sql(f"DROP ROLE {name}")


def readiness(postgres, name, password, scheme="postgresql"):
    """Connect with the password in a URL, and return the state of the database in /health/ready."""
    url = f"{scheme}://{name}:{quote(password, safe='')}@127.0.0.1:{postgres.port}/{TEMPLATE}"
    app = create_app("testing", {"TEST_DATABASE_URL": url})
    try:
        return app.test_client().get("/health/ready").json["checks"]["database"]
    finally:
        dispose(app)


@pytest.mark.parametrize("password", SPECIAL)
def test_any_password(postgres, role, password):
    """A percent-encoded password with any characters works."""
    name = role(password)
    assert readiness(postgres, name, password) == "connected"
    assert readiness(postgres, name, password, "postgres") == "connected"
    assert readiness(postgres, name, password + "x") == "unavailable"


def test_url_from_a_file(postgres, role, tmp_path):
    """DATABASE_URL_FILE may end with a line break."""
    url = f"postgres://{role('p@ss')}:p%40ss@127.0.0.1:{postgres.port}/{TEMPLATE}\n"
    (tmp_path / "url").write_text(url)
    app = create_app("testing", {"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert app.test_client().get("/health/ready").json["checks"]["database"] == "connected"
    dispose(app)
