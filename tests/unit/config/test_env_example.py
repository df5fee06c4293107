""".env.example is the reference of the settings: it names what the code reads, and nothing else."""

import ast
import re
from contextlib import suppress

import pytest

from config import ENVIRONMENTS, ConfigError, load
from tests.support.helpers import ROOT

TEXT = (ROOT / ".env.example").read_text(encoding="utf-8")
LINES = re.findall(r"^(# )?([A-Z_]+)=(.*)$", TEXT, re.MULTILINE)
DOCUMENTED = [name for _, name, _ in LINES]
COMPOSES_OWN = {"COMPOSE_PROJECT_NAME", "MIGRATE_IMAGE"}  # set by Compose itself, and by ops for one command
READ_BY_COMPOSE_ITSELF = {"COMPOSE_PROFILES"}


class Recorder(dict):
    """An environment with nothing in it, which remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        """Remember the name."""
        self.asked.add(name)
        return default


def read_by_config():
    """Return every variable that the settings are made from, in any environment."""
    environ = Recorder()
    for environment in (None, *ENVIRONMENTS):
        try:
            load(environment, environ)
        except ConfigError:
            assert environment in {None, "production"}
    return {name for name in environ.asked if name.removesuffix("_FILE") not in environ.asked - {name}}


def read_by_gunicorn():
    """Return every variable that gunicorn.conf.py names in `os.environ.get` and `number`."""
    tree = ast.parse((ROOT / "gunicorn.conf.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    named = {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) in {"os.environ.get", "number"} and isinstance(call.args[0], ast.Constant)
    }
    return {name for name in named if name.removesuffix("_FILE") not in named - {name}}


def test_any_setting_may_be_a_file():
    """The reference promises NAME_FILE for each setting but FLASK_ENV, and each is looked for."""
    environ = Recorder()
    for environment in ENVIRONMENTS:
        with suppress(ConfigError):
            load(environment, environ)
    assert {f"{name}_FILE" for name in read_by_config() - {"FLASK_ENV"}} <= environ.asked


def read_by_compose():
    """Return every variable that the compose files take from the shell or from .env."""
    files = ("docker-compose.yml", "docker-compose.prod.yml")
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    passed_on = re.findall(r"^ {4,6}([A-Z_]+):$", text, re.MULTILINE)
    return {*re.findall(r"(?<!\$)\$\{?([A-Z_]+)", text), *passed_on, *READ_BY_COMPOSE_ITSELF} - COMPOSES_OWN


def test_names_what_is_read():
    """Each variable that the code reads is in the reference, and each there is read by the code."""
    assert set(DOCUMENTED) == read_by_config() | read_by_gunicorn() | read_by_compose()


def test_readers_are_found():
    """The readers above find what they look for: a check of nothing would find no fault either."""
    assert {"FLASK_ENV", "FLASK_DEBUG", "TEST_DATABASE_URL", "LOG_TO_FILE"} <= read_by_config()
    assert {"PORT", "HOST", "WEB_CONCURRENCY", "DRAIN_SECONDS"} <= read_by_gunicorn()
    assert {"HTTP_PORT", "HTTPS_PORT", "WEB_CONCURRENCY"} <= read_by_compose()


def test_named_once():
    """No variable is explained in two places."""
    assert sorted(DOCUMENTED) == sorted(set(DOCUMENTED))


def test_default_is_commented_out():
    """What production demands stands open and empty; all else is commented out."""
    with pytest.raises(ConfigError) as refusal:
        load("production", {})
    demanded = {line.split(":")[0].strip() for line in str(refusal.value).splitlines()[1:-1]}
    assert {name for hidden, name, _ in LINES if not hidden} == demanded
    assert all(value == "" for hidden, _, value in LINES if not hidden)


def test_shown_defaults_are_the_defaults():
    """To set every default that is shown changes nothing."""
    shown = {name: value for _, name, value in LINES if name not in {"FLASK_ENV", "LOG_FORMAT"}}
    assert vars(load("testing", shown)) == vars(load("testing", {}))


def test_copied_as_it_is():
    """A copy that nobody filled in leaves development as it was."""
    copied = {name: value for hidden, name, value in LINES if not hidden}
    assert vars(load("development", copied)) == vars(load("development", {}))


def test_nobody_else_reads_the_environment():
    """Settings have one door: the application itself never looks into os.environ but for the default argument."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py")}
    readers = [
        path.relative_to(ROOT).as_posix()
        for path, text in sources.items()
        if re.search(r"os\.environ[.\[]|from os import|getenv", text)
    ]
    assert readers == []
