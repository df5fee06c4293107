"""Each check of the application's settings and backends: when it passes, warns and fails."""

import socket
import time

import pytest
import redis

from app.checks import edge
from app.checks.registry import CHECKS
from app.db.schema_state import SchemaBehindError, SchemaContractedError, SchemaDivergedError
from config import ProductionConfig
from scripts.lint_edge import settings as nginx_settings
from tests.support.helpers import ROOT
from tests.support.production_fakes import (
    APP,
    CACHE,
    KEY,
    OWNER,
    PGBOUNCER,
    SESSIONS,
    SETTINGS,
    Backends,
    FakeContext,
)

SESSIONS_URL = f"redis://sessions:{SESSIONS}@redis-sessions"
NOPERM = redis.exceptions.NoPermissionError("this user has no permissions to run the 'info' command")
WORDS = "this-is-a-very-long-secret-key-for-my-application"
MIDDLING = "8f3a1c9e5b7d2f604e8aabcdefghijklmn"
URL = SETTINGS["DATABASE_URL"]


@pytest.fixture(autouse=True)
def _outside_project(monkeypatch, tmp_path):
    """Leave the project, because gunicorn.conf.py would read its .env and .flaskenv."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEB_CONCURRENCY", "2")


@pytest.fixture
def backends():
    """The backends' responses, for a test to change."""
    made = Backends()
    made.now = time.time
    return made


@pytest.fixture
def run_check(backends):
    """Return a function that runs a check by name and returns its states and its text."""

    def make(name, *, before_migrating=False, without=(), **settings):
        known = {key: value for key, value in (SETTINGS | settings).items() if key not in without}
        [check] = [check for check in CHECKS if check.name == name]
        found = list(check.run(FakeContext(known, backends, before_migrating=before_migrating)))
        assert all(each.reason.endswith(".") for each in found), found
        assert all(bool(each.remedy) == (each.state != "PASS") for each in found), found
        text = "\n".join(f"{each.reason} {each.remedy}" for each in found)
        assert [secret for secret in (KEY, APP, OWNER, CACHE, SESSIONS) if secret in text] == []
        return sorted({each.state for each in found}), text

    return make


CASES = {
    "environment": [
        ({}, "PASS", "production"),
        ({"FLASK_ENV": ""}, "PASS", "production"),
        ({"FLASK_ENV": "development"}, "FAIL", "FLASK_ENV is development"),
        ({"FLASK_ENV": "testing"}, "FAIL", "FLASK_ENV is testing"),
    ],
    "release": [({}, "PASS", "r1"), ({"RELEASE": ""}, "WARN", "does not identify")],
    "logs": [
        ({}, "PASS", "one JSON line"),
        ({"LOG_LEVEL": "DEBUG"}, "WARN", "LOG_LEVEL=DEBUG"),
        ({"LOG_LEVEL": "WARNING"}, "WARN", "no request is logged"),
        ({"LOG_FORMAT": "text"}, "WARN", "Set LOG_FORMAT=json."),
        ({"LOG_TO_FILE": "app.log"}, "PASS", "one JSON line"),
    ],
    "keys": [
        ({}, "PASS", "37 characters"),
        ({"SECRET_KEY": MIDDLING}, "WARN", "SECRET_KEY is repetitive"),
        ({"SECRET_KEY": WORDS}, "FAIL", "SECRET_KEY looks like words"),
        ({"SECRET_KEY": "abcdefghijklm" * 4}, "FAIL", "SECRET_KEY is repetitive"),
        ({"SECRET_KEY": "x7Gq2mZp9s" * 4}, "FAIL", "SECRET_KEY is repetitive"),
        ({"SECRET_KEY": "django-insecure-" + KEY}, "FAIL", "well-known value"),
        ({"SECRET_KEY_FALLBACKS": KEY[::-1]}, "PASS", "SECRET_KEY_FALLBACKS, number 1"),
        ({"SECRET_KEY_FALLBACKS": f"{KEY[::-1]},changeme"}, "FAIL", "SECRET_KEY_FALLBACKS, number 2 is a well-known"),
        ({"SECRET_KEY_FALLBACKS": "x7Gq2mZp9sLw4kTv"}, "FAIL", "number 1 has 16 characters; 32"),
        ({"SECRET_KEY_FALLBACKS": KEY}, "WARN", "among its own fallbacks"),
    ],
    "passwords": [
        ({}, "PASS", "the password in REDIS_URL has 22 characters"),
        ({"DATABASE_URL": "postgresql://app@db/app"}, "FAIL", "DATABASE_URL has no password"),
        ({"DATABASE_URL": "postgresql://app@db/app?passfile=/run/pass"}, "WARN", "cannot judge"),
        ({"DATABASE_URL": "postgresql://app@db/app?password=changeme"}, "FAIL", "well-known value"),
        ({"DATABASE_URL": "postgresql://catalogue:Catalogue@db/app"}, "FAIL", "the user name"),
        ({"DATABASE_URL": "postgresql://app:postgres@db/app"}, "FAIL", "well-known value"),
        ({"DATABASE_URL": "postgresql://app:Pa%24%24w0rd@db/app"}, "FAIL", "well-known value"),
        ({"DATABASE_URL": "postgresql://app:aaaaaaaaaaaaaaaaaaaa@db/app"}, "FAIL", "easy to guess"),
        ({"DATABASE_URL": "postgresql://app:x7Gq2mZp9s@db/app"}, "WARN", "10 characters"),
        ({"MIGRATION_DATABASE_URL": f"postgresql://owner:{APP}@db/app"}, "FAIL", "have the same password"),
        ({"MIGRATION_DATABASE_URL": ""}, "PASS", "DATABASE_URL"),
        ({"MIGRATION_DATABASE_URL": "", "DATABASE_HOST": "pgbouncer"}, "PASS", "DATABASE_URL"),
        ({"REDIS_URL": "redis://redis-cache"}, "FAIL", "REDIS_URL has no password"),
        ({"REDIS_URL": "redis://:foobared@redis-cache"}, "FAIL", "well-known value"),
        ({"SESSION_REDIS_URL": SESSIONS_URL}, "PASS", "SESSION_REDIS_URL"),
        ({"SESSION_REDIS_URL": "redis://:secret123@redis-sessions"}, "FAIL", "SESSION_REDIS_URL"),
        ({"SESSION_REDIS_URL": f"redis://sessions:{CACHE}@redis-sessions"}, "FAIL", "have the same password"),
    ],
    "driver": [({}, "PASS", "psycopg2")],
    "hosts": [
        ({}, "PASS", "only shop.example."),
        ({"TRUSTED_HOSTS": "shop.example,.shop.example"}, "PASS", ".shop.example"),
        ({"TRUSTED_HOSTS": "shop.example,localhost"}, "WARN", "localhost"),
        ({"TRUSTED_HOSTS": "shop.example,[::1]"}, "WARN", "[::1]"),
        ({"TRUSTED_HOSTS": "localhost"}, "FAIL", "no public host name"),
        ({"TRUSTED_HOSTS": "127.0.0.1,192.0.2.7:8000,shop.localhost"}, "FAIL", "no public host name"),
        ({"TRUSTED_HOSTS": "shop.example,*"}, "FAIL", "'*'"),
        ({"TRUSTED_HOSTS": "*.shop.example"}, "FAIL", "'*.shop.example'"),
        ({"TRUSTED_HOSTS": "shop.example,."}, "FAIL", "'.'"),
        ({"TRUSTED_HOSTS": "shop.example,.com"}, "FAIL", "'.com'"),
        ({"TRUSTED_HOSTS": "shop.example,.co.uk"}, "FAIL", "'.co.uk'"),
        ({"TRUSTED_HOSTS": "shop.example,.herokuapp.com"}, "FAIL", "'.herokuapp.com'"),
    ],
    "proxies": [
        ({}, "PASS", "is 1"),
        ({"TRUSTED_PROXIES": "0"}, "FAIL", "every client would have nginx's address"),
        ({"TRUSTED_PROXIES": "0", "BODY_KILOBYTES": ""}, "WARN", "clients connect directly to the application"),
        ({"TRUSTED_PROXIES": "2"}, "WARN", "nginx forwards one address"),
        ({"TRUSTED_PROXIES": "2", "CDN_NETWORKS": "192.0.2.0/24"}, "WARN", "nginx forwards one address"),
        ({"TRUSTED_PROXIES": "2", "BODY_KILOBYTES": ""}, "WARN", "can forge its address"),
        ({"TRUSTED_PROXIES": "2", "BODY_KILOBYTES": "", "CDN_NETWORKS": "192.0.2.0/24"}, "PASS", "is 2"),
    ],
    "hsts": [
        ({}, "PASS", "max-age=63072000"),
        ({"HSTS": "max-age=15552000"}, "PASS", "max-age=15552000"),
        ({"HSTS": "max-age=15551999"}, "WARN", "lasts 180 days"),
        ({"HSTS": "max-age=86400"}, "WARN", "lasts 1 days"),
        ({"HSTS": "max-age=0"}, "WARN", "HSTS is off."),
        ({"HSTS": ""}, "WARN", "it is unknown whether the edge"),
    ],
    "bodies": [
        ({}, "PASS", "64 KiB"),
        ({"MAX_CONTENT_LENGTH": "65537"}, "WARN", "Set BODY_KILOBYTES=65,"),
        ({"BODY_KILOBYTES": "128"}, "WARN", "Set MAX_CONTENT_LENGTH=131072,"),
        ({"BODY_KILOBYTES": ""}, "WARN", "limit for request bodies is unknown"),
    ],
}


@pytest.mark.parametrize(
    ("name", "settings", "state", "message"),
    [(name, *case) for name, cases in CASES.items() for case in cases],
    ids=lambda value: str(value)[:40],
)
def test_settings(run_check, name, settings, state, message):
    """The worst state for these settings, and its message."""
    states, text = run_check(name, **settings)
    worst = next(each for each in ("FAIL", "WARN", "PASS") if each in states)
    assert (worst, message in text) == (state, True), text


@pytest.mark.parametrize("name", ["DEBUG", "TESTING"])
def test_debugger(run_check, monkeypatch, name):
    """DEBUG or TESTING set in the code fails."""
    monkeypatch.setattr(ProductionConfig, name, True)
    assert run_check("environment") == (["FAIL"], f"{name} is on. Remove it from ProductionConfig in config.py.")


@pytest.mark.parametrize(("user", "state"), [(10001, "PASS"), (0, "FAIL")])
def test_user(run_check, backends, user, state):
    """Running as root fails."""
    backends.user = user
    assert run_check("user")[0] == [state]


def test_sqlite(run_check, monkeypatch):
    """SQLite fails even if the settings accept it."""
    monkeypatch.setattr(ProductionConfig, "database_rules", [])
    assert run_check("driver", DATABASE_URL="sqlite:///app.db")[0] == ["FAIL"]


SECRETS = ("SECRET_KEY", "DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")


def write_secrets(folder, names):
    """Write secrets into private files; return the variables with their paths."""
    for name in names:
        (folder / name).write_text(SETTINGS[name], encoding="utf-8")
        (folder / name).chmod(0o600)
    return {f"{name}_FILE": str(folder / name) for name in names}


@pytest.mark.parametrize(
    ("mode", "state", "message"),
    [
        (0o600, "PASS", "this user may read"),
        (0o400, "PASS", "this user may read"),
        (0o640, "WARN", "a group may read"),
        (0o644, "FAIL", "everyone may read"),
        (0o604, "FAIL", "everyone may read"),
        (0o620, "FAIL", "other users may write"),
    ],
)
def test_files(run_check, tmp_path, mode, state, message):
    """A secret's file must be readable and writable for its user only."""
    files = write_secrets(tmp_path, SECRETS)
    (tmp_path / "REDIS_URL").chmod(mode)
    states, text = run_check("files", without=SECRETS, **files)
    assert (states, message in text) == ([state], True)
    assert ("SECRET_KEY" in text) == (state == "PASS")


def test_no_files(run_check):
    """Secrets in environment variables are a warning."""
    states, text = run_check("files")
    assert (states, "SECRET_KEY, DATABASE_URL, REDIS_URL, MIGRATION_DATABASE_URL: " in text) == (["WARN"], True)


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("SECRET_KEY_FALLBACKS", KEY[::-1], "WARN"),
        ("MIGRATION_DATABASE_URL", "postgresql://owner:x7Gq2mZp9s@db/app", "WARN"),
        ("SESSION_REDIS_URL", "redis://sessions?password=x7Gq2mZp9s", "WARN"),
        ("SESSION_REDIS_URL", "redis://sessions:6379/0", "PASS"),
        ("SENTRY_DSN", "https://key@sentry.example/1", "PASS"),
    ],
)
def test_other_secrets_without_files(run_check, tmp_path, name, value, state):
    """A key, or a URL with a password, is a warning; a URL without one is not a secret."""
    others = [each for each in SECRETS if each != name]
    states, text = run_check("files", without=others, **write_secrets(tmp_path, others), **{name: value})
    assert (states, text.startswith(name)) == ([state], state == "WARN")


PUBLIC, PRIVATE = ["8.8.8.8"], ["10.0.0.7", "fd00::7", "127.0.0.1", "100.64.0.7", "fe80::7%eth0"]


@pytest.mark.parametrize(
    ("addresses", "mode", "state"),
    [
        (PRIVATE, "", "PASS"),
        (PUBLIC, "verify-full", "PASS"),
        (PUBLIC, "verify-ca", "WARN"),
        (PUBLIC, "require", "WARN"),
        (PUBLIC, "prefer", "FAIL"),
        (PUBLIC, "disable", "FAIL"),
        (PUBLIC, "", "FAIL"),
        ([*PRIVATE, *PUBLIC], "", "FAIL"),
        (["2606:4700::1111"], "", "FAIL"),
        (socket.gaierror(-2, "Name or service not known"), "", "WARN"),
    ],
)
def test_encryption(run_check, backends, addresses, mode, state):
    """A connection to a public address must use TLS and verify the server's name."""
    backends.addresses["db"] = addresses
    urls = {name: f"{SETTINGS[name]}?sslmode={mode}".removesuffix("?sslmode=") for name in SECRETS[1:3]}
    states, text = run_check("encryption", **urls)
    assert (states, "MIGRATION_DATABASE_URL: " in text) == ([state], True)


def test_encryption_by_pgsslmode(run_check, backends):
    """PGSSLMODE applies if the URL has no sslmode, as in libpq."""
    backends.addresses["db"] = PUBLIC
    assert run_check("encryption", PGSSLMODE="verify-full")[0] == ["PASS"]


def test_encryption_over_a_socket(run_check):
    """A Unix socket does not need TLS."""
    url = f"postgresql://app:{APP}@/app?host=/run/postgresql"
    states, text = run_check("encryption", DATABASE_URL=url, MIGRATION_DATABASE_URL="")
    assert (states, "/run/postgresql" in text) == (["PASS"], True)


@pytest.mark.parametrize(
    ("addresses", "url", "state"),
    [
        (PRIVATE, "redis://", "PASS"),
        (PUBLIC, "redis://", "FAIL"),
        (PUBLIC, "rediss://", "PASS"),
        (PUBLIC, "rediss://?ssl_cert_reqs=none", "WARN"),
        (socket.gaierror(-2, "Name or service not known"), "redis://", "WARN"),
    ],
)
def test_redis_encryption(run_check, backends, addresses, url, state):
    """The same applies to Redis."""
    backends.addresses["redis-cache"] = addresses
    scheme, _, query = url.partition("://")
    assert run_check("redis-encryption", REDIS_URL=f"{scheme}://:{CACHE}@redis-cache/0{query}")[0] == [state]


@pytest.mark.parametrize(
    ("schema", "before", "state"),
    [
        ("current", False, "PASS"),
        ("ahead", False, "PASS"),
        (SchemaBehindError(["a", "b"]), False, "FAIL"),
        (SchemaBehindError(["a", "b"]), True, "PASS"),
        (SchemaDivergedError(["a"], ["b"], "does not know"), True, "FAIL"),
        (SchemaContractedError(["a"]), True, "FAIL"),
    ],
)
def test_migrations(run_check, backends, schema, before, state):
    """Pending migrations fail, except before a deploy applies them."""
    backends.schema = schema
    states, text = run_check("migrations", before_migrating=before)
    assert (states, "2 migrations are pending" in text) == ([state], isinstance(schema, SchemaBehindError))


@pytest.mark.parametrize(("checksums", "state"), [("on", "PASS"), ("off", "WARN")])
def test_checksums(run_check, backends, checksums, state):
    """Missing checksums are a warning."""
    backends.checksums = checksums
    assert run_check("checksums")[0] == [state]


@pytest.mark.parametrize(
    ("version", "state", "message"),
    [
        (180001, "PASS", "Postgres 18."),
        (150018, "PASS", "tested on 18"),
        (190000, "PASS", "tested on 18"),
        (140020, "WARN", "14"),
    ],
)
def test_version(run_check, backends, version, state, message):
    """An unsupported version is a warning."""
    backends.version = version
    states, text = run_check("version")
    assert (states, message in text) == ([state], True)


@pytest.mark.parametrize(
    ("application", "role", "state"),
    [
        ((1250, 2500), (15000, 30000), "PASS"),
        ((1250, 2500), (0, 0), "WARN"),
        ((1250, 2500), (15000, 0), "WARN"),
        ((0, 2500), (15000, 30000), "FAIL"),
    ],
)
def test_timeouts(run_check, backends, application, role, state):
    """The application and its role need timeouts for statements and idle transactions."""
    backends.timeouts, backends.role_timeouts = ([(number,) for number in numbers] for numbers in (application, role))
    assert run_check("timeouts")[0] == [state]


@pytest.mark.parametrize(
    ("ahead", "state"), [(0, "PASS"), (-1.5, "PASS"), (5, "WARN"), (-5, "WARN"), (90, "FAIL"), (-90, "FAIL")]
)
def test_clock(run_check, backends, ahead, state):
    """A clock that differs from the database's warns, then fails."""
    backends.now = lambda: time.time() + ahead
    assert run_check("clock")[0] == [state]


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (redis.AuthenticationError("NOAUTH Authentication required."), "PASS"),
        (redis.exceptions.NoPermissionError("NOPERM"), "PASS"),
        (True, "FAIL"),
    ],
)
def test_redis_password(run_check, backends, reply, state):
    """A Redis that accepts clients without a password fails."""
    backends.anonymous = reply
    assert run_check("redis-password", SESSION_REDIS_URL=SESSIONS_URL)[0] == [state]


@pytest.mark.parametrize(
    ("memory", "state"),
    [
        ({"maxmemory": 2**27, "maxmemory_policy": "allkeys-lfu"}, "PASS"),
        ({"maxmemory": 2**27, "maxmemory_policy": "allkeys-random"}, "PASS"),
        ({"maxmemory": 2**27, "maxmemory_policy": "volatile-ttl"}, "WARN"),
        ({"maxmemory": 2**27, "maxmemory_policy": "noeviction"}, "FAIL"),
        ({"maxmemory": 0, "maxmemory_policy": "allkeys-lfu"}, "FAIL"),
        (NOPERM, "WARN"),
    ],
)
def test_cache(run_check, backends, memory, state):
    """The cache needs a memory limit and an eviction policy."""
    backends.memory = memory
    assert run_check("cache")[0] == [state]


@pytest.mark.parametrize(
    ("policy", "persistent", "state"),
    [("noeviction", 1, "PASS"), ("noeviction", 0, "FAIL"), ("allkeys-lru", 1, "FAIL"), ("volatile-ttl", 1, "FAIL")],
)
def test_sessions(run_check, backends, policy, persistent, state):
    """The session store must not evict, and must persist."""
    backends.session_memory, backends.persistence = {"maxmemory_policy": policy}, {"aof_enabled": persistent}
    assert run_check("sessions", SESSION_REDIS_URL=SESSIONS_URL)[0] == [state]


def test_sessions_without_info(run_check, backends):
    """A user without INFO is a warning."""
    backends.session_memory = NOPERM
    states, text = run_check("sessions", SESSION_REDIS_URL=SESSIONS_URL)
    assert (states, "CONFIG GET" in text) == (["WARN"], True)


def test_no_sessions(run_check):
    """Without SESSION_REDIS_URL there is no finding."""
    assert run_check("sessions") == ([], "")


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "PASS"),
        ({"SAMESITE": "Strict"}, "PASS"),
        ({"SECURE": False}, "FAIL"),
        ({"HTTPONLY": False}, "FAIL"),
        ({"DOMAIN": "shop.example"}, "FAIL"),
        ({"PATH": "/shop"}, "FAIL"),
        ({"SAMESITE": None}, "WARN"),
        ({"SAMESITE": "None"}, "WARN"),
        ({"NAME": "session"}, "WARN"),
        ({"NAME": "session", "DOMAIN": "shop.example"}, "WARN"),
    ],
)
def test_cookies(run_check, monkeypatch, changed, state):
    """A session cookie must be Secure, HttpOnly and limited to this host."""
    for name, value in changed.items():
        monkeypatch.setattr(ProductionConfig, f"SESSION_COOKIE_{name}", value, raising=False)
    assert run_check("cookies")[0] == [state]


def test_no_pooler(run_check):
    """Without a pooler its checks have no findings."""
    assert run_check("pooler") == run_check("clients") == ([], "")
    assert run_check("pooler", DATABASE_HOST="pgbouncer")[0] == ["PASS"]
    assert PGBOUNCER["max_client_conn"] in run_check("clients", DATABASE_HOST="pgbouncer")[1]


def test_names():
    """Each check has a unique name and a description."""
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    assert all(check.passes and (check.warns or check.fails) for check in CHECKS)


def test_compose_passes_the_settings_of_nginx():
    """The application's container gets the same edge settings as nginx, including defaults."""
    text = (ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8")
    given = nginx_settings()
    assert f"HSTS: ${{HSTS:-{given['EDGE_HSTS']}}}" in text
    assert f"BODY_KILOBYTES: ${{BODY_KILOBYTES:-{given['EDGE_BODY_KILOBYTES']}}}" in text
    assert int(given["EDGE_HSTS"].removeprefix("max-age=")) < edge.LONG_HSTS_S
