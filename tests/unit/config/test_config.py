"""Settings are read once, from the environment, with defaults where possible."""

import subprocess
import sys

import pytest

import config
from config import ConfigError, load
from tests.support.helpers import ROOT

NO_SETTINGS = {"PATH": "/usr/bin:/bin"}
DEFAULTS = {
    "RELEASE": "unknown",
    "SECRET_KEY": config.DEVELOPMENT_SECRET_KEY,
    "SECRET_KEY_FALLBACKS": [],
    "DB_POOL_SIZE": 4,
    "DB_TIMEOUT": 1.25,
    "REDIS_URL": "",
    "REDIS_TIMEOUT": 0.25,
    "CACHE_MAX_BYTES": 67_108_864,
    "TRUSTED_HOSTS": None,
    "TRUSTED_PROXIES": 0,
    "MAX_CONTENT_LENGTH": 65_536,
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "text",
    "LOG_TO_FILE": "",
    "SENTRY_DSN": "",
    "SENTRY_TRACES_SAMPLE_RATE": 0.0,
}


def refused(environment="development", **environ):
    """Return the message of the ConfigError for these settings."""
    with pytest.raises(ConfigError) as caught:
        load(environment, environ)
    return str(caught.value)


def test_import_reads_nothing():
    """Importing the module succeeds without any variables."""
    subprocess.run([sys.executable, "-c", "import config"], cwd=ROOT, env=NO_SETTINGS, check=True, timeout=20)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name, value):
    """Development has a default for every setting."""
    assert getattr(load("development", {}), name) == value


def test_default_databases():
    """Development uses an SQLite file, the test suite an in-memory database."""
    assert str(load("development", {}).SQLALCHEMY_DATABASE_URI) == "sqlite:///app.db"
    assert str(load("testing", {}).SQLALCHEMY_DATABASE_URI) == "sqlite://"


def test_environments_differ():
    """ENVIRONMENT has the name, TESTING is set only for tests, and DEBUG is never set."""
    environments = [load(name, {}) for name in ("development", "testing")]
    assert [each.ENVIRONMENT for each in environments] == ["development", "testing"]
    assert [each.TESTING for each in environments] == [False, True]
    assert not any(each.DEBUG for each in environments)


def test_default_log_format():
    """Only development logs text by default."""
    assert load("testing", {}).LOG_FORMAT == "json"
    assert load("development", {"LOG_FORMAT": "json"}).LOG_FORMAT == "json"


def test_flask_env_selects():
    """FLASK_ENV selects the environment unless the caller does."""
    assert load(environ={"FLASK_ENV": "testing"}).ENVIRONMENT == "testing"


def test_unset_means_production():
    """An unset or empty FLASK_ENV means production."""
    assert "the production environment" in refused(None)
    assert "the production environment" in refused(None, FLASK_ENV="")


def test_unknown_environment():
    """An unknown FLASK_ENV is refused; the message lists the valid names."""
    assert refused(None, FLASK_ENV="prod") == (
        "FLASK_ENV: 'prod' is unknown. Use one of: development, testing, production."
    )


def test_empty_is_unset():
    """An empty value, as Compose passes for an unset variable, means the default."""
    settings = load("development", dict.fromkeys(DEFAULTS, "") | {"DATABASE_URL": "", "REDIS_URL": ""})
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


WRONG = {
    "DB_POOL_SIZE": ["many", "0", "101", "1.5"],
    "DB_TIMEOUT": ["soon", "0", "61", "nan"],
    "REDIS_URL": ["localhost:6379", "http://cache"],
    "REDIS_TIMEOUT": ["quick", "0", "6"],
    "CACHE_MAX_BYTES": ["64M", "1048575"],
    "TRUSTED_PROXIES": ["yes", "-1", "6"],
    "MAX_CONTENT_LENGTH": ["64k", "1023"],
    "LOG_LEVEL": ["WARN", "info"],
    "LOG_FORMAT": ["xml"],
    "SENTRY_TRACES_SAMPLE_RATE": ["half", "1.1", "-0.1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_invalid_value_is_named(name, value):
    """An invalid value is refused with a message that names only its variable."""
    assert [line.split(":")[0] for line in refused(**{name: value}).splitlines()[1:-1]] == [f"  {name}"]


def test_every_problem_at_once():
    """One error lists all problems, one a line, in alphabetical order."""
    lines = refused(LOG_LEVEL="LOUD", DB_TIMEOUT="x", REDIS_URL="x", DATABASE_URL="x").splitlines()
    assert lines[0] == "Invalid settings for the development environment:"
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == [
        "DATABASE_URL",
        "DB_TIMEOUT",
        "LOG_LEVEL",
        "REDIS_URL",
    ]
    assert ".env.example" in lines[-1]


def test_pool_follows_threads():
    """The pool has one connection for each thread unless DB_POOL_SIZE is set."""
    assert load("development", {"GUNICORN_THREADS": "9"}).DB_POOL_SIZE == 9
    assert load("development", {"GUNICORN_THREADS": "9", "DB_POOL_SIZE": "3"}).DB_POOL_SIZE == 3


def test_lists():
    """Lists are comma-separated; surrounding spaces are removed."""
    settings = load("development", {"TRUSTED_HOSTS": "a.example, .b.example", "SECRET_KEY_FALLBACKS": "one,two"})
    assert settings.TRUSTED_HOSTS == ["a.example", ".b.example"]
    assert settings.SECRET_KEY_FALLBACKS == ["one", "two"]


INVALID = [
    ("REDIS_URL", "redis://host:notaport/0"),
    ("REDIS_URL", "redis://host/x"),
    ("REDIS_URL", "http://host"),
    ("REDIS_URL", "redis://[::1"),
    ("SENTRY_DSN", "garbage"),
    ("SENTRY_DSN", "https://sentry.example/2"),
    ("LOG_TO_FILE", "/no/such/folder/app.log"),
]


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_invalid_for_a_client_library(name, value):
    """A value that a client library would reject later is refused at startup."""
    with pytest.raises(config.ConfigError, match=f"{name}: "):
        config.load("development", {name: value})


@pytest.mark.parametrize("url", ["redis://host", "rediss://:p%40ss@host:6380/1", "unix:///run/redis.sock?db=1"])
def test_valid_redis_urls(url):
    """All URL forms of redis-py are accepted."""
    assert url == config.load("development", {"REDIS_URL": url}).REDIS_URL
