"""Starting: production without its settings never begins to listen, and any password reaches Postgres as it is."""

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

HOSTILE = ["p@ss:w/rd", "a%40b", "ab$cd${PATH}", "#?&=+", "two words", "'\"\\`;--", "ünïcödé→", "%", "[::1]", "x" * 200]


@pytest.fixture
def start(folder):
    """Run Gunicorn with nothing in its environment but what is given, on a port that is taken; return how it ended."""

    def run(**environ):
        server = Gunicorn(folder)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": str(holder.getsockname()[1])}
            options = {"capture_output": True, "text": True, "timeout": 30}
            done = subprocess.run(server.command(), check=False, cwd=folder, env=base | environ, **options)
        assert "in use" not in done.stderr  # nor did it try to listen
        return done.returncode, done.stderr

    return run


def test_nothing_set(start):
    """Without settings the environment is production, which names all that is missing and exits without listening."""
    code, errors = start()
    assert code != 0
    assert "Invalid settings for the production environment" in errors
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "TRUSTED_HOSTS"):
        assert f"  {name}: " in errors


def test_every_weak_value_is_named(start):
    """Values that are there but of no use are all named at once, and none of them is shown."""
    secrets = {"SECRET_KEY": "a" * 40, "DATABASE_URL": "mysql://u:hunter2@db/x", "REDIS_URL": "http://:hunter2@x"}
    code, errors = start(**secrets, TRUSTED_HOSTS="shop.example", DB_POOL_SIZE="many", FLASK_DEBUG="1")
    assert (code != 0, "hunter2" in errors) == (True, False)
    for name in (*secrets, "DB_POOL_SIZE", "FLASK_DEBUG"):
        assert f"  {name}: " in errors
    assert "TRUSTED_HOSTS" not in errors


def test_an_unknown_environment(start):
    """A name that is no environment is refused, not taken for a harmless one."""
    code, errors = start(FLASK_ENV="prod")
    assert (code != 0, "'prod' is not known" in errors) == (True, True)


def test_importing_the_settings_reads_nothing():
    """`import config` succeeds in an environment that is empty."""
    command = [sys.executable, "-c", "import config"]
    subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=True, timeout=20)


@pytest.fixture(scope="module")
def role(postgres):
    """Make roles that must give their password (SCRAM), and return each one's name."""
    made = []

    def make(password):
        name = f"hostile_{len(made)}"
        made.append(name)
        postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD %s IN ROLE needs_password", password)
        return name

    yield make
    for name in made:
        postgres.sql(f"DROP ROLE {name}")


def readiness(postgres, name, password, scheme="postgresql"):
    """Connect with the password in a URL, and return what readiness says about the database."""
    url = f"{scheme}://{name}:{quote(password, safe='')}@127.0.0.1:{postgres.port}/{TEMPLATE}"
    app = create_app("testing", {"TEST_DATABASE_URL": url})
    try:
        return app.test_client().get("/health/ready").json["checks"]["database"]
    finally:
        dispose(app)


@pytest.mark.parametrize("password", HOSTILE)
def test_a_hostile_password_connects(postgres, role, password):
    """Whatever signs a password has, percent-encoded in the URL it is the password that Postgres checks."""
    name = role(password)
    assert readiness(postgres, name, password) == "connected"
    assert readiness(postgres, name, password, "postgres") == "connected"
    assert readiness(postgres, name, password + "x") == "unavailable"


def test_a_url_in_a_file_connects(postgres, role, tmp_path):
    """The URL may be in a file, as Docker hands over secrets, with a line break at its end."""
    url = f"postgres://{role('p@ss')}:p%40ss@127.0.0.1:{postgres.port}/{TEMPLATE}\n"
    (tmp_path / "url").write_text(url)
    app = create_app("testing", {"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert app.test_client().get("/health/ready").json["checks"]["database"] == "connected"
    dispose(app)
