"""The production check with a real Postgres and Valkey: a good server passes, and each fault is found."""

import json
import os
import subprocess
import sys
import time

import pytest
import redis
from sqlalchemy.engine import make_url

from app.checks import run
from app.checks.context import CheckContext
from tests.integration.conftest import fresh_database, names
from tests.support.helpers import ROOT, free_port

KEY, APP, OWNER, CACHE = (f"{word}-7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5" for word in ("Ke", "Ap", "Ow", "Ca"))
SECRETS = (KEY, APP, OWNER, CACHE)
ROOT_FINDINGS = {"user"} if os.geteuid() == 0 else set()
CACHE_ACL = "resetkeys ~cache:* resetchannels -@all +info +ping +hello +auth +client|setinfo"


def url_for(server, url, user, password):
    """Return the URL of the same database for another user."""
    return url.replace(f"postgres@127.0.0.1:{server.port}", f"{user}:{password}@127.0.0.1:{server.port}")


def create_roles(server, url):
    """Create a role for the application, an owner and a superuser; return their URLs."""
    number, database = next(names), url.rpartition("/")[2]
    kinds = {"app": (APP, ""), "owner": (OWNER, ""), "superuser": (APP, "SUPERUSER")}
    for kind, (password, attribute) in kinds.items():
        server.sql(f"CREATE ROLE {kind}{number} LOGIN {attribute} PASSWORD '{password}' IN ROLE needs_password")
    app = f"app{number}"
    server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app}", database=database)
    server.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO owner{number}", database=database)
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        server.sql(f"ALTER ROLE {app} SET {limit} = '20s'")
    return {kind: url_for(server, url, f"{kind}{number}", password) for kind, (password, _) in kinds.items()}


def write_secrets(folder, secrets):
    """Write each secret into a private file; return the variables with their paths."""
    found = {}
    for name, text in secrets.items():
        path = folder / f"{name}-{next(names)}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        found[f"{name}_FILE"] = str(path)
    return found


@pytest.fixture(scope="module")
def roles(postgres, postgres_url):
    """The URLs of three roles for a migrated database."""
    return create_roles(postgres, postgres_url)


@pytest.fixture(scope="module")
def operator(valkey):
    """A connection with all permissions."""
    with redis.Redis.from_url(valkey.url, socket_timeout=5, single_connection_client=True) as client:
        yield client


@pytest.fixture
def cache(operator, valkey):
    """The URL of a cache with a password and a limit of 64 MiB, reset for each test."""
    for name, value in {
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lfu",
        "requirepass": "only-operators-1",
    }.items():
        operator.config_set(name, value)
    operator.config_set("appendonly", "no")
    operator.execute_command("ACL", "SETUSER", "cache", "reset", "on", f">{CACHE}", *CACHE_ACL.split())
    yield valkey.url.replace("redis://", f"redis://cache:{CACHE}@")
    operator.config_set("requirepass", "")


@pytest.fixture
def good(roles, cache, tmp_path):
    """Settings that are fit for production."""
    secrets = {"SECRET_KEY": KEY, "DATABASE_URL": roles["app"], "MIGRATION_DATABASE_URL": roles["owner"]}
    known = write_secrets(tmp_path, {**secrets, "REDIS_URL": cache})
    edge = {"TRUSTED_PROXIES": "1", "HSTS": "max-age=63072000; includeSubDomains", "BODY_KILOBYTES": "64"}
    return {
        **known,
        **edge,
        "TRUSTED_HOSTS": "shop.example",
        "RELEASE": "r1",
        "WEB_CONCURRENCY": "1",
        "WEB_REPLICAS": "1",
    }


def run_command(folder, settings, *arguments, script=True):
    """Run the script, or the flask command, with only these settings; return the completed process."""
    flask = ["-m", "flask", "--app", "wsgi", "check-production"]
    program = [str(ROOT / "scripts/check_production.py")] if script else flask
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert [text for text in SECRETS if text in done.stdout + done.stderr] == []
    return done


@pytest.fixture
def run_checks(tmp_path, good, monkeypatch):
    """Return a function that runs all checks with changed settings and returns the failed ones and all states."""
    monkeypatch.chdir(tmp_path)  # it has no .env
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setenv("WEB_REPLICAS", "1")

    def check(*, before_migrating=False, **changed):
        secrets = {name: text for name, text in changed.items() if name.endswith("_URL")}
        others = {name: text for name, text in changed.items() if name not in secrets}
        known = {**good, **write_secrets(tmp_path, secrets), **others}
        found = run.run_checks(CheckContext(known, before_migrating=before_migrating))
        assert [text for text in SECRETS if text in str(found)] == []
        assert all(each.reason and (each.remedy or each.state == "PASS") for each in found)
        assert not any("\n" in each.reason for each in found)
        bad = {each.check for each in found if each.state == "FAIL"} - ROOT_FINDINGS
        return sorted(bad), {each.check: each.state for each in found}

    return check


def test_good_server_passes(run_checks):
    """With good settings, roles and cache every check passes."""
    bad, states = run_checks()
    assert bad == []
    assert {name for name, state in states.items() if state != "PASS"} == ROOT_FINDINGS
    assert {"privileges", "migrations", "timeouts", "clock", "redis-password", "cache", "encryption"} <= states.keys()


@pytest.mark.parametrize("membership", ["superuser", "pg_execute_server_program", "pg_read_server_files"])
def test_memberships_are_found(run_checks, roles, postgres, membership):
    """A role that is a member of a superuser or of a powerful predefined role fails."""
    app, superuser = (make_url(roles[kind]).username for kind in ("app", "superuser"))
    granted = superuser if membership == "superuser" else membership
    postgres.sql(f"GRANT {granted} TO {app}")
    try:
        assert "privileges" in run_checks()[0]
    finally:
        postgres.sql(f"REVOKE {granted} FROM {app}")


def test_superuser_is_found(run_checks, roles):
    """A superuser as the application's role fails the privileges check."""
    assert run_checks(DATABASE_URL=roles["superuser"])[0] == ["privileges"]


def test_role_without_timeouts_is_found(run_checks, roles, postgres):
    """A role without default timeouts is a warning."""
    role = roles["app"].partition("//")[2].partition(":")[0]
    postgres.sql(f"ALTER ROLE {role} SET statement_timeout = 0")
    try:
        assert run_checks()[1]["timeouts"] == "WARN"
    finally:
        postgres.sql(f"ALTER ROLE {role} SET statement_timeout = '20s'")


@pytest.mark.parametrize(
    ("setting", "check", "state"),
    [
        (("maxmemory-policy", "noeviction"), "cache", "FAIL"),
        (("maxmemory", "0"), "cache", "FAIL"),
        (("maxmemory-policy", "volatile-lru"), "cache", "WARN"),
        (("requirepass", ""), "redis-password", "FAIL"),
    ],
)
def test_unfit_cache_is_found(run_checks, operator, setting, check, state):
    """A cache without eviction, limit or password is found, and nothing else fails."""
    operator.config_set(*setting)
    bad, states = run_checks()
    assert (bad, states[check]) == ([check] if state == "FAIL" else [], state)


def test_missing_permission_is_a_warning(run_checks, operator):
    """A user without INFO is a warning."""
    operator.execute_command("ACL", "SETUSER", "cache", "-info")
    bad, states = run_checks()
    assert (bad, states["cache"]) == ([], "WARN")


@pytest.mark.parametrize(
    ("settings", "state"),
    [(("noeviction", "yes"), "PASS"), (("noeviction", "no"), "FAIL"), (("allkeys-lru", "yes"), "FAIL")],
)
def test_sessions(run_checks, operator, cache, settings, state):
    """A Redis for sessions must not evict, and must persist."""
    for name, value in zip(("maxmemory-policy", "appendonly"), settings, strict=True):
        operator.config_set(name, value)
    assert run_checks(SESSION_REDIS_URL=cache)[1]["sessions"] == state


@pytest.mark.parametrize(("deploying", "state"), [(False, "FAIL"), (True, "PASS")])
def test_pending_migrations(run_checks, postgres, roles, deploying, state):
    """An empty database fails, except before a deploy migrates it."""
    name = f"empty_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    urls = {
        f"{kind}_URL": roles[role].rpartition("/")[0] + f"/{name}"
        for kind, role in (("DATABASE", "app"), ("MIGRATION_DATABASE", "owner"))
    }
    bad, states = run_checks(before_migrating=deploying, **urls)
    assert (bad, states["migrations"]) == (["migrations"] if state == "FAIL" else [], state)


def test_diverged_schema_is_found(run_checks, postgres):
    """A diverged schema fails, even before a deploy."""
    url = fresh_database(postgres)
    last = "(SELECT max(revision) FROM applied_migrations)"
    other = f"UPDATE applied_migrations SET revision = 'other' WHERE revision = {last}"
    postgres.sql(other, database=url.rpartition("/")[2])
    roles = create_roles(postgres, url)
    bad, _ = run_checks(before_migrating=True, DATABASE_URL=roles["app"], MIGRATION_DATABASE_URL=roles["owner"])
    assert bad == ["migrations"]


def test_unavailable_backends(run_checks, roles, postgres, valkey, cache):
    """Checks of unavailable backends fail in one line; the others still run."""
    gone = {
        name: roles[role].replace(f":{postgres.port}/", f":{free_port()}/")
        for name, role in (("DATABASE_URL", "app"), ("MIGRATION_DATABASE_URL", "owner"))
    }
    bad, states = run_checks(**gone, REDIS_URL=cache.replace(f":{valkey.port}/", f":{free_port()}/"))
    assert bad == sorted(
        [
            "connections",
            "privileges",
            "migrations",
            "checksums",
            "version",
            "timeouts",
            "clock",
            "redis-password",
            "cache",
        ]
    )
    assert states["keys"] == states["hosts"] == "PASS"


def test_frozen_backends_time_out(run_checks, own_postgres, valkey):
    """Backends that accept connections but do not respond time out within seconds."""
    frozen = create_roles(own_postgres, fresh_database(own_postgres))
    started = time.monotonic()
    with own_postgres.frozen(), valkey.frozen():
        bad, _ = run_checks(DATABASE_URL=frozen["app"], MIGRATION_DATABASE_URL=frozen["owner"])
    assert {"connections", "privileges", "cache"} <= set(bad)
    assert time.monotonic() - started < 40


def test_wrong_password_is_redacted(run_checks, roles, cache):
    """Error messages about wrong passwords contain no secret."""
    bad, _ = run_checks(DATABASE_URL=roles["app"].replace(APP, OWNER), REDIS_URL=cache.replace(CACHE, APP))
    assert {"privileges", "redis-password"}.isdisjoint(bad)  # the owner runs the first, no user the second
    assert {"timeouts", "cache", "passwords"} <= set(bad)


@pytest.mark.parametrize("script", [True, False])
def test_commands(tmp_path, good, script):
    """The script and `flask check-production` print a list; --strict exits with 1 after a warning."""
    done = run_command(tmp_path, good, "--json", script=script)
    assert done.returncode == int(bool(ROOT_FINDINGS))
    found = json.loads(done.stdout)
    assert {tuple(each) for each in found} == {("check", "state", "reason", "remedy")}
    assert {each["check"] for each in found if each["state"] != "PASS"} == ROOT_FINDINGS
    assert run_command(tmp_path, {**good, "HSTS": ""}, "--strict", script=script).returncode == 1


@pytest.mark.parametrize("script", [True, False])
def test_invalid_settings(tmp_path, good, script):
    """The script and flask, which then cannot load the application, both name each invalid setting."""
    settings = {**good, "TRUSTED_HOSTS": "", "TRUSTED_PROXIES": "many"}
    done = run_command(tmp_path, settings, script=script)
    assert done.returncode == 1
    assert all(name in done.stdout + done.stderr for name in ("TRUSTED_HOSTS: ", "TRUSTED_PROXIES: "))
