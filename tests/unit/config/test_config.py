"""The settings: read once, from the environment alone, with a default for each that can have one."""

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
    """Return what `load` says about settings that it refuses."""
    with pytest.raises(ConfigError) as refusal:
        load(environment, environ)
    return str(refusal.value)


def test_import_reads_nothing():
    """Importing the module succeeds in an environment with nothing in it."""
    subprocess.run([sys.executable, "-c", "import config"], cwd=ROOT, env=NO_SETTINGS, check=True, timeout=20)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name, value):
    """Development needs no setting."""
    assert getattr(load("development", {}), name) == value


def test_default_databases():
    """Development keeps an SQLite file, the test suite keeps nothing."""
    assert str(load("development", {}).SQLALCHEMY_DATABASE_URI) == "sqlite:///app.db"
    assert str(load("testing", {}).SQLALCHEMY_DATABASE_URI) == "sqlite://"


def test_environments_differ():
    """Each environment says which it is, only the test suite is TESTING, and none turns DEBUG on."""
    environments = [load(name, {}) for name in ("development", "testing")]
    assert [each.ENVIRONMENT for each in environments] == ["development", "testing"]
    assert [each.TESTING for each in environments] == [False, True]
    assert not any(each.DEBUG for each in environments)


def test_log_format_is_json_for_machines():
    """Only a person's own machine logs text by default."""
    assert load("testing", {}).LOG_FORMAT == "json"
    assert load("development", {"LOG_FORMAT": "json"}).LOG_FORMAT == "json"


def test_flask_env_chooses():
    """FLASK_ENV names the environment where the caller does not."""
    assert load(environ={"FLASK_ENV": "testing"}).ENVIRONMENT == "testing"


def test_unset_means_production():
    """A forgotten FLASK_ENV, or an empty one, is production, with all that it demands."""
    assert "the production environment" in refused(None)
    assert "the production environment" in refused(None, FLASK_ENV="")


def test_unknown_environment():
    """An unknown FLASK_ENV is refused, with the names that are known."""
    assert refused(None, FLASK_ENV="prod") == (
        "FLASK_ENV: 'prod' is not known. Use one of: development, testing, production."
    )


def test_empty_is_unset():
    """An empty value, as Compose makes of a variable that is not set, leaves the default."""
    settings = load("development", dict.fromkeys(DEFAULTS, "") | {"DATABASE_URL": "", "REDIS_URL": ""})
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


BAD = {
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


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_value_is_named(name, value):
    """A value that cannot be used is refused, and the refusal names its variable and no other."""
    assert [line.split(":")[0] for line in refused(**{name: value}).splitlines()[1:-1]] == [f"  {name}"]


def test_every_problem_at_once():
    """All that is wrong is said in one refusal, a line each, in alphabetical order."""
    lines = refused(LOG_LEVEL="LOUD", DB_TIMEOUT="x", REDIS_URL="x", DATABASE_URL="x").splitlines()
    assert lines[0] == "The settings of the development environment cannot be used:"
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == [
        "DATABASE_URL",
        "DB_TIMEOUT",
        "LOG_LEVEL",
        "REDIS_URL",
    ]
    assert ".env.example" in lines[-1]


def test_pool_follows_threads():
    """A worker's threads each have a connection, unless DB_POOL_SIZE says otherwise."""
    assert load("development", {"GUNICORN_THREADS": "9"}).DB_POOL_SIZE == 9
    assert load("development", {"GUNICORN_THREADS": "9", "DB_POOL_SIZE": "3"}).DB_POOL_SIZE == 3


def test_lists_are_split_at_commas():
    """Host names and old keys are lists; blanks around a name do not belong to it."""
    settings = load("development", {"TRUSTED_HOSTS": "a.example, .b.example", "SECRET_KEY_FALLBACKS": "one,two"})
    assert settings.TRUSTED_HOSTS == ["a.example", ".b.example"]
    assert settings.SECRET_KEY_FALLBACKS == ["one", "two"]


UNUSABLE = [
    ("REDIS_URL", "redis://host:notaport/0"),
    ("REDIS_URL", "redis://host/x"),
    ("REDIS_URL", "http://host"),
    ("REDIS_URL", "redis://[::1"),
    ("SENTRY_DSN", "garbage"),
    ("SENTRY_DSN", "https://sentry.example/2"),
    ("LOG_TO_FILE", "/no/such/folder/app.log"),
]


@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_unusable_is_named(name, value):
    """What a client library would stop at later is named at the start."""
    with pytest.raises(config.ConfigError, match=f"{name}: "):
        config.load("development", {name: value})


@pytest.mark.parametrize("url", ["redis://host", "rediss://:p%40ss@host:6380/1", "unix:///run/redis.sock?db=1"])
def test_usable_redis(url):
    """Each form that redis-py takes is taken."""
    assert url == config.load("development", {"REDIS_URL": url}).REDIS_URL
