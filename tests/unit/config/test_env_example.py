""".env.example documents exactly the variables that the code reads."""

import ast
import re
from contextlib import suppress

import pytest

from config import ENVIRONMENTS, ConfigError, load
from tests.support.helpers import ROOT

TEXT = (ROOT / ".env.example").read_text(encoding="utf-8")
LINES = re.findall(r"^(# )?([A-Z_]+)=(.*)$", TEXT, re.MULTILINE)
DOCUMENTED = [name for _, name, _ in LINES]
SET_BY_COMPOSE = {"COMPOSE_PROJECT_NAME", "MIGRATE_IMAGE"}  # set by Compose itself, and by ops for one command
READ_BY_COMPOSE_ITSELF = {"COMPOSE_PROFILES"}


class Recorder(dict):
    """An empty environment that records which variables are read."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def get(self, name, default=None):
        """Record the name."""
        self.names.add(name)
        return default


def read_by_config():
    """Return every variable that config.py reads in any environment."""
    environ = Recorder()
    for environment in (None, *ENVIRONMENTS):
        try:
            load(environment, environ)
        except ConfigError:
            assert environment in {None, "production"}
    return {name for name in environ.names if name.removesuffix("_FILE") not in environ.names - {name}}


def read_by_gunicorn():
    """Return every variable that gunicorn.conf.py passes to `os.environ.get` and `read_integer`."""
    tree = ast.parse((ROOT / "gunicorn.conf.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    names = {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) in {"os.environ.get", "read_integer"} and isinstance(call.args[0], ast.Constant)
    }
    return {name for name in names if name.removesuffix("_FILE") not in names - {name}}


def test_every_setting_can_be_a_file():
    """NAME_FILE is read for every setting except FLASK_ENV."""
    environ = Recorder()
    for environment in ENVIRONMENTS:
        with suppress(ConfigError):
            load(environment, environ)
    assert {f"{name}_FILE" for name in read_by_config() - {"FLASK_ENV"}} <= environ.names


def read_by_compose():
    """Return every variable that the compose files read."""
    files = ("docker-compose.yml", "docker-compose.prod.yml")
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    passed = re.findall(r"^ {4,6}([A-Z_]+):$", text, re.MULTILINE)
    return {*re.findall(r"(?<!\$)\$\{?([A-Z_]+)", text), *passed, *READ_BY_COMPOSE_ITSELF} - SET_BY_COMPOSE


def test_documents_every_variable():
    """The documented variables are those that the code reads."""
    assert set(DOCUMENTED) == read_by_config() | read_by_gunicorn() | read_by_compose()


def test_readers_find_variables():
    """The functions above find known variables, so the comparison is not empty."""
    assert {"FLASK_ENV", "FLASK_DEBUG", "TEST_DATABASE_URL", "LOG_TO_FILE"} <= read_by_config()
    assert {"PORT", "HOST", "WEB_CONCURRENCY", "DRAIN_SECONDS"} <= read_by_gunicorn()
    assert {"HTTP_PORT", "HTTPS_PORT", "WEB_CONCURRENCY"} <= read_by_compose()


def test_documented_once():
    """No variable is documented twice."""
    assert sorted(DOCUMENTED) == sorted(set(DOCUMENTED))


def test_defaults_are_commented_out():
    """Only the variables that production requires are not commented out, and they are empty."""
    with pytest.raises(ConfigError) as caught:
        load("production", {})
    required = {line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:-1]}
    assert {name for commented, name, _ in LINES if not commented} == required
    assert all(value == "" for commented, _, value in LINES if not commented)


def test_shown_defaults_are_the_defaults():
    """Setting every documented default changes nothing."""
    shown = {name: value for _, name, value in LINES if name not in {"FLASK_ENV", "LOG_FORMAT"}}
    assert vars(load("testing", shown)) == vars(load("testing", {}))


def test_unchanged_copy():
    """An unchanged copy as .env changes nothing in development."""
    copied = {name: value for commented, name, value in LINES if not commented}
    assert vars(load("development", copied)) == vars(load("development", {}))


def test_only_config_reads_the_environment():
    """The application never reads os.environ itself, except as a default argument."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py")}
    readers = [
        path.relative_to(ROOT).as_posix()
        for path, text in sources.items()
        if re.search(r"os\.environ(?:\.|\[[^]]*\](?! = ))|from os import|getenv", text)
    ]
    assert readers == []
