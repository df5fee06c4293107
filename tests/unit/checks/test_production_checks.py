"""Each check of the application's settings and servers: what passes, what is a warning, and what is a fault."""

import socket
import time

import pytest
import redis

from app.checks import edge
from app.checks.checks import CHECKS
from app.db.schema_state import SchemaBehindError, SchemaContractedError, SchemaDivergedError
from config import ProductionConfig
from scripts.lint_edge import settings as nginx_gets
from tests.support.helpers import ROOT
from tests.support.production_fakes import (
    APP,
    CACHE,
    KEY,
    OWNER,
    PGBOUNCER,
    SESSIONS,
    SETTINGS,
    FakeProduction,
    Servers,
)

SESSIONS_URL = f"redis://sessions:{SESSIONS}@redis-sessions"
NOPERM = redis.exceptions.NoPermissionError("this user has no permissions to run the 'info' command")
WORDS = "this-is-a-very-long-secret-key-for-my-application"
MIDDLING = "8f3a1c9e5b7d2f604e8aabcdefghijklmn"
URL = SETTINGS["DATABASE_URL"]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """Leave the project, whose .env and .flaskenv gunicorn.conf.py would read, and take its settings away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEB_CONCURRENCY", "2")


@pytest.fixture
def servers():
    """What the servers answer, for a test to change."""
    made = Servers()
    made.now = time.time
    return made


@pytest.fixture
def look(servers):
    """Return a function that makes the check of a name, and gives each state, and all that is said."""

    def make(name, *, before_migrating=False, without=(), **settings):
        known = {key: value for key, value in (SETTINGS | settings).items() if key not in without}
        [check] = [check for check in CHECKS if check.name == name]
        found = list(check.look(FakeProduction(known, servers, before_migrating=before_migrating)))
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
    "release": [({}, "PASS", "r1"), ({"RELEASE": ""}, "WARN", "which build")],
    "logs": [
        ({}, "PASS", "a JSON line"),
        ({"LOG_LEVEL": "DEBUG"}, "WARN", "LOG_LEVEL=DEBUG"),
        ({"LOG_LEVEL": "WARNING"}, "WARN", "no request is logged"),
        ({"LOG_FORMAT": "text"}, "WARN", "Set LOG_FORMAT=json."),
        ({"LOG_TO_FILE": "app.log"}, "PASS", "a JSON line"),
    ],
    "keys": [
        ({}, "PASS", "37 characters"),
        ({"SECRET_KEY": MIDDLING}, "WARN", "SECRET_KEY repeats itself"),
        ({"SECRET_KEY": WORDS}, "FAIL", "SECRET_KEY reads like words"),
        ({"SECRET_KEY": "abcdefghijklm" * 4}, "FAIL", "SECRET_KEY repeats itself"),
        ({"SECRET_KEY": "x7Gq2mZp9s" * 4}, "FAIL", "SECRET_KEY repeats itself"),
        ({"SECRET_KEY": "django-insecure-" + KEY}, "FAIL", "everybody knows"),
        ({"SECRET_KEY_FALLBACKS": KEY[::-1]}, "PASS", "SECRET_KEY_FALLBACKS, number 1"),
        ({"SECRET_KEY_FALLBACKS": f"{KEY[::-1]},changeme"}, "FAIL", "SECRET_KEY_FALLBACKS, number 2 is a value"),
        ({"SECRET_KEY_FALLBACKS": "x7Gq2mZp9sLw4kTv"}, "FAIL", "number 1 has 16 characters; 32"),
        ({"SECRET_KEY_FALLBACKS": KEY}, "WARN", "among its own fallbacks"),
    ],
    "passwords": [
        ({}, "PASS", "the password in REDIS_URL has 22 characters"),
        ({"DATABASE_URL": "postgresql://app@db/app"}, "FAIL", "DATABASE_URL has no password"),
        ({"DATABASE_URL": "postgresql://app@db/app?passfile=/run/pass"}, "WARN", "cannot be judged"),
        ({"DATABASE_URL": "postgresql://app@db/app?password=changeme"}, "FAIL", "one that everybody knows"),
        ({"DATABASE_URL": "postgresql://catalogue:Catalogue@db/app"}, "FAIL", "the user's own name"),
        ({"DATABASE_URL": "postgresql://app:postgres@db/app"}, "FAIL", "one that everybody knows"),
        ({"DATABASE_URL": "postgresql://app:Pa%24%24w0rd@db/app"}, "FAIL", "one that everybody knows"),
        ({"DATABASE_URL": "postgresql://app:aaaaaaaaaaaaaaaaaaaa@db/app"}, "FAIL", "soon guessed"),
        ({"DATABASE_URL": "postgresql://app:x7Gq2mZp9s@db/app"}, "WARN", "10 characters"),
        ({"MIGRATION_DATABASE_URL": f"postgresql://owner:{APP}@db/app"}, "FAIL", "have the same password"),
        ({"MIGRATION_DATABASE_URL": ""}, "PASS", "DATABASE_URL"),
        ({"MIGRATION_DATABASE_URL": "", "DATABASE_HOST": "pgbouncer"}, "PASS", "DATABASE_URL"),
        ({"REDIS_URL": "redis://redis-cache"}, "FAIL", "REDIS_URL has no password"),
        ({"REDIS_URL": "redis://:foobared@redis-cache"}, "FAIL", "one that everybody knows"),
        ({"SESSION_REDIS_URL": SESSIONS_URL}, "PASS", "SESSION_REDIS_URL"),
        ({"SESSION_REDIS_URL": "redis://:secret123@redis-sessions"}, "FAIL", "SESSION_REDIS_URL"),
        ({"SESSION_REDIS_URL": f"redis://sessions:{CACHE}@redis-sessions"}, "FAIL", "have the same password"),
    ],
    "driver": [({}, "PASS", "psycopg2")],
    "hosts": [
        ({}, "PASS", "asked for by shop.example, and by no other name."),
        ({"TRUSTED_HOSTS": "shop.example,.shop.example"}, "PASS", ".shop.example"),
        ({"TRUSTED_HOSTS": "shop.example,localhost"}, "WARN", "localhost"),
        ({"TRUSTED_HOSTS": "shop.example,[::1]"}, "WARN", "[::1]"),
        ({"TRUSTED_HOSTS": "localhost"}, "FAIL", "no name that users could ask for"),
        ({"TRUSTED_HOSTS": "127.0.0.1,192.0.2.7:8000,shop.localhost"}, "FAIL", "no name that users could ask for"),
        ({"TRUSTED_HOSTS": "shop.example,*"}, "FAIL", "'*'"),
        ({"TRUSTED_HOSTS": "*.shop.example"}, "FAIL", "'*.shop.example'"),
        ({"TRUSTED_HOSTS": "shop.example,."}, "FAIL", "'.'"),
        ({"TRUSTED_HOSTS": "shop.example,.com"}, "FAIL", "'.com'"),
        ({"TRUSTED_HOSTS": "shop.example,.co.uk"}, "FAIL", "'.co.uk'"),
        ({"TRUSTED_HOSTS": "shop.example,.herokuapp.com"}, "FAIL", "'.herokuapp.com'"),
    ],
    "proxies": [
        ({}, "PASS", "is 1"),
        ({"TRUSTED_PROXIES": "0"}, "FAIL", "nginx would be taken for every client"),
        ({"TRUSTED_PROXIES": "0", "BODY_KILOBYTES": ""}, "WARN", "clients connect to the application itself"),
        ({"TRUSTED_PROXIES": "2"}, "WARN", "nginx hands one address on"),
        ({"TRUSTED_PROXIES": "2", "CDN_NETWORKS": "192.0.2.0/24"}, "WARN", "nginx hands one address on"),
        ({"TRUSTED_PROXIES": "2", "BODY_KILOBYTES": ""}, "WARN", "may make its address up"),
        ({"TRUSTED_PROXIES": "2", "BODY_KILOBYTES": "", "CDN_NETWORKS": "192.0.2.0/24"}, "PASS", "is 2"),
    ],
    "hsts": [
        ({}, "PASS", "max-age=63072000"),
        ({"HSTS": "max-age=15552000"}, "PASS", "max-age=15552000"),
        ({"HSTS": "max-age=15551999"}, "WARN", "lasts 180 days"),
        ({"HSTS": "max-age=86400"}, "WARN", "lasts 1 days"),
        ({"HSTS": "max-age=0"}, "WARN", "HSTS is off."),
        ({"HSTS": ""}, "WARN", "does not say here whether"),
    ],
    "bodies": [
        ({}, "PASS", "64 KiB"),
        ({"MAX_CONTENT_LENGTH": "65537"}, "WARN", "Set BODY_KILOBYTES=65,"),
        ({"BODY_KILOBYTES": "128"}, "WARN", "Set MAX_CONTENT_LENGTH=131072,"),
        ({"BODY_KILOBYTES": ""}, "WARN", "does not say here how large"),
    ],
}


@pytest.mark.parametrize(
    ("name", "settings", "state", "says"),
    [(name, *case) for name, cases in CASES.items() for case in cases],
    ids=lambda value: str(value)[:40],
)
def test_settings(look, name, settings, state, says):
    """The worst that is said of these settings, and with which words."""
    states, text = look(name, **settings)
    worst = next(each for each in ("FAIL", "WARN", "PASS") if each in states)
    assert (worst, says in text) == (state, True), text


@pytest.mark.parametrize("name", ["DEBUG", "TESTING"])
def test_debugger(look, monkeypatch, name):
    """What was switched on in the code is found too."""
    monkeypatch.setattr(ProductionConfig, name, True)
    assert look("environment") == (["FAIL"], f"{name} is on. Take it out of ProductionConfig in config.py.")


@pytest.mark.parametrize(("user", "state"), [(10001, "PASS"), (0, "FAIL")])
def test_user(look, servers, user, state):
    """Root is more than the application needs."""
    servers.user = user
    assert look("user")[0] == [state]


def test_sqlite(look, monkeypatch):
    """A file is no database for production, should the settings let one through."""
    monkeypatch.setattr(ProductionConfig, "database_rules", [])
    assert look("driver", DATABASE_URL="sqlite:///app.db")[0] == ["FAIL"]


SECRETS = ("SECRET_KEY", "DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")


def in_files(folder, names):
    """Write secrets into files that nobody else may read, and return the variables that name them."""
    for name in names:
        (folder / name).write_text(SETTINGS[name], encoding="utf-8")
        (folder / name).chmod(0o600)
    return {f"{name}_FILE": str(folder / name) for name in names}


@pytest.mark.parametrize(
    ("mode", "state", "says"),
    [
        (0o600, "PASS", "this user may read"),
        (0o400, "PASS", "this user may read"),
        (0o640, "WARN", "a group may read"),
        (0o644, "FAIL", "everybody may read"),
        (0o604, "FAIL", "everybody may read"),
        (0o620, "FAIL", "others may write"),
    ],
)
def test_files(look, tmp_path, mode, state, says):
    """A secret's file is for one user; who else may read or change it is told by its mode."""
    files = in_files(tmp_path, SECRETS)
    (tmp_path / "REDIS_URL").chmod(mode)
    states, text = look("files", without=SECRETS, **files)
    assert (states, says in text) == ([state], True)
    assert ("SECRET_KEY" in text) == (state == "PASS")


def test_no_files(look):
    """A secret in the environment is shown to more than the application."""
    states, text = look("files")
    assert (states, "SECRET_KEY, DATABASE_URL, MIGRATION_DATABASE_URL, REDIS_URL: " in text) == (["WARN"], True)


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
def test_other_secrets_outside_of_files(look, tmp_path, name, value, state):
    """A key, or an address with a password, is told beside the three that always are; one without is no secret."""
    others = [each for each in SECRETS if each != name]
    states, text = look("files", without=others, **in_files(tmp_path, others), **{name: value})
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
def test_encryption(look, servers, addresses, mode, state):
    """What goes to an address of the internet goes by TLS, to a server whose name is checked."""
    servers.addresses["db"] = addresses
    urls = {name: f"{SETTINGS[name]}?sslmode={mode}".removesuffix("?sslmode=") for name in SECRETS[1:3]}
    states, text = look("encryption", **urls)
    assert (states, "MIGRATION_DATABASE_URL: " in text) == ([state], True)


def test_encryption_by_libpqs_own_variable(look, servers):
    """PGSSLMODE counts where the URL says nothing, as it does for the client."""
    servers.addresses["db"] = PUBLIC
    assert look("encryption", PGSSLMODE="verify-full")[0] == ["PASS"]


def test_encryption_over_a_socket(look):
    """What does not leave the machine needs no TLS."""
    url = f"postgresql://app:{APP}@/app?host=/run/postgresql"
    states, text = look("encryption", DATABASE_URL=url, MIGRATION_DATABASE_URL="")
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
def test_redis_encryption(look, servers, addresses, url, state):
    """Likewise for Redis."""
    servers.addresses["redis-cache"] = addresses
    scheme, _, query = url.partition("://")
    assert look("redis-encryption", REDIS_URL=f"{scheme}://:{CACHE}@redis-cache/0{query}")[0] == [state]


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
def test_migrations(look, servers, schema, before, state):
    """What is pending is a fault of a server that serves, and none of one that a deploy is about to migrate."""
    servers.schema = schema
    states, text = look("migrations", before_migrating=before)
    assert (states, "2 migrations are pending" in text) == ([state], isinstance(schema, SchemaBehindError))


@pytest.mark.parametrize(("checksums", "state"), [("on", "PASS"), ("off", "WARN")])
def test_checksums(look, servers, checksums, state):
    """Without checksums nobody notices a damaged page."""
    servers.checksums = checksums
    assert look("checksums")[0] == [state]


@pytest.mark.parametrize(
    ("version", "state", "says"),
    [
        (180001, "PASS", "Postgres 18."),
        (150018, "PASS", "18 is what"),
        (190000, "PASS", "18 is what"),
        (140020, "WARN", "14"),
    ],
)
def test_version(look, servers, version, state, says):
    """A server that gets no fixes is a warning."""
    servers.version = version
    states, text = look("version")
    assert (states, says in text) == ([state], True)


@pytest.mark.parametrize(
    ("own", "role", "state"),
    [
        ((1250, 2500), (15000, 30000), "PASS"),
        ((1250, 2500), (0, 0), "WARN"),
        ((1250, 2500), (15000, 0), "WARN"),
        ((0, 2500), (15000, 30000), "FAIL"),
    ],
)
def test_timeouts(look, servers, own, role, state):
    """The application's statements and idle transactions end, and those of whoever else comes as its role."""
    servers.timeouts, servers.role_timeouts = ([(number,) for number in numbers] for numbers in (own, role))
    assert look("timeouts")[0] == [state]


@pytest.mark.parametrize(
    ("ahead", "state"), [(0, "PASS"), (-1.5, "PASS"), (5, "WARN"), (-5, "WARN"), (90, "FAIL"), (-90, "FAIL")]
)
def test_clock(look, servers, ahead, state):
    """A clock that is apart from the database's ends tokens at other times than they say."""
    servers.now = lambda: time.time() + ahead
    assert look("clock")[0] == [state]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (redis.AuthenticationError("NOAUTH Authentication required."), "PASS"),
        (redis.exceptions.NoPermissionError("NOPERM"), "PASS"),
        (True, "FAIL"),
    ],
)
def test_redis_password(look, servers, answer, state):
    """Redis that answers without a password answers everybody."""
    servers.anonymous = answer
    assert look("redis-password", SESSION_REDIS_URL=SESSIONS_URL)[0] == [state]


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
def test_cache(look, servers, memory, state):
    """A cache has a limit, and forgets at it."""
    servers.memory = memory
    assert look("cache")[0] == [state]


@pytest.mark.parametrize(
    ("policy", "kept", "state"),
    [("noeviction", 1, "PASS"), ("noeviction", 0, "FAIL"), ("allkeys-lru", 1, "FAIL"), ("volatile-ttl", 1, "FAIL")],
)
def test_sessions(look, servers, policy, kept, state):
    """Sessions are never evicted, and are written down."""
    servers.session_memory, servers.persistence = {"maxmemory_policy": policy}, {"aof_enabled": kept}
    assert look("sessions", SESSION_REDIS_URL=SESSIONS_URL)[0] == [state]


def test_sessions_that_cannot_be_seen(look, servers):
    """Where the user may not ask, somebody else has to."""
    servers.session_memory = NOPERM
    states, text = look("sessions", SESSION_REDIS_URL=SESSIONS_URL)
    assert (states, "CONFIG GET" in text) == (["WARN"], True)


def test_no_sessions(look):
    """Where sessions have no place, nothing is said of it."""
    assert look("sessions") == ([], "")


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
def test_cookies(look, monkeypatch, changed, state):
    """A session's cookie would be sent by TLS alone, to this host alone, and be read by no script."""
    for name, value in changed.items():
        monkeypatch.setattr(ProductionConfig, f"SESSION_COOKIE_{name}", value, raising=False)
    assert look("cookies")[0] == [state]


def test_no_pooler(look):
    """Where nothing stands in between there is nothing to say of it."""
    assert look("pooler") == look("clients") == ([], "")
    assert look("pooler", DATABASE_HOST="pgbouncer")[0] == ["PASS"]
    assert PGBOUNCER["max_client_conn"] in look("clients", DATABASE_HOST="pgbouncer")[1]


def test_names():
    """Each check has a name of its own, and says what it finds."""
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    assert all(check.passes and (check.warns or check.fails) for check in CHECKS)


def test_the_compose_file_tells_what_nginx_gets():
    """What the container is told of the edge is what nginx is given, also where nothing is set."""
    text = (ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8")
    given = nginx_gets()
    assert f"HSTS: ${{HSTS:-{given['EDGE_HSTS']}}}" in text
    assert f"BODY_KILOBYTES: ${{BODY_KILOBYTES:-{given['EDGE_BODY_KILOBYTES']}}}" in text
    assert int(given["EDGE_HSTS"].removeprefix("max-age=")) < edge.LONG
