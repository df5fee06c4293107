"""The production check against a real Postgres and a real Valkey: what is well passes, and each bad thing is found."""

import json
import os
import subprocess
import sys
import time

import pytest
import redis
from sqlalchemy.engine import make_url

from app.checks import run
from app.checks.production import Production
from tests.integration.conftest import fresh_database, names
from tests.support.helpers import ROOT, free_port

KEY, APP, OWNER, CACHE = (f"{word}-7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5" for word in ("Ke", "Ap", "Ow", "Ca"))
CANARIES = (KEY, APP, OWNER, CACHE)
AS_ROOT = {"user"} if os.geteuid() == 0 else set()
RIGHTS = "resetkeys ~cache:* resetchannels -@all +info +ping +hello +auth +client|setinfo"


def become(server, url, user, password):
    """Return the URL by which a user comes to the same database."""
    return url.replace(f"postgres@127.0.0.1:{server.port}", f"{user}:{password}@127.0.0.1:{server.port}")


def make_roles(server, url):
    """Make a role that reads and writes rows, one that migrates, and one that may do everything; return their URLs."""
    number, database = next(names), url.rpartition("/")[2]
    kinds = {"app": (APP, ""), "owner": (OWNER, ""), "boss": (APP, "SUPERUSER")}
    for kind, (password, right) in kinds.items():
        server.sql(f"CREATE ROLE {kind}{number} LOGIN {right} PASSWORD '{password}' IN ROLE needs_password")
    app = f"app{number}"
    server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app}", database=database)
    server.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO owner{number}", database=database)
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        server.sql(f"ALTER ROLE {app} SET {limit} = '20s'")
    return {kind: become(server, url, f"{kind}{number}", password) for kind, (password, _) in kinds.items()}


def files(folder, secrets):
    """Put each secret into a file that this user alone may read; return the variables that name them."""
    found = {}
    for name, text in secrets.items():
        path = folder / f"{name}-{next(names)}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        found[f"{name}_FILE"] = str(path)
    return found


@pytest.fixture(scope="module")
def roles(postgres, postgres_url):
    """The URLs of three roles of a migrated database."""
    return make_roles(postgres, postgres_url)


@pytest.fixture(scope="module")
def operator(valkey):
    """A connection that stays the operator's, whatever is changed by it."""
    with redis.Redis.from_url(valkey.url, socket_timeout=5, single_connection_client=True) as client:
        yield client


@pytest.fixture
def cache(operator, valkey):
    """The URL of a cache that wants a password and forgets at 64 MiB; what a test changes in it is put right again."""
    for name, value in {
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lfu",
        "requirepass": "only-operators-1",
    }.items():
        operator.config_set(name, value)
    operator.config_set("appendonly", "no")
    operator.execute_command("ACL", "SETUSER", "cache", "reset", "on", f">{CACHE}", *RIGHTS.split())
    yield valkey.url.replace("redis://", f"redis://cache:{CACHE}@")
    operator.config_set("requirepass", "")


@pytest.fixture
def good(roles, cache, tmp_path):
    """The settings of a server that is fit for production."""
    secrets = {"SECRET_KEY": KEY, "DATABASE_URL": roles["app"], "MIGRATION_DATABASE_URL": roles["owner"]}
    known = files(tmp_path, {**secrets, "REDIS_URL": cache})
    edge = {"TRUSTED_PROXIES": "1", "HSTS": "max-age=63072000; includeSubDomains", "BODY_KILOBYTES": "64"}
    return {
        **known,
        **edge,
        "TRUSTED_HOSTS": "shop.example",
        "RELEASE": "r1",
        "WEB_CONCURRENCY": "1",
        "WEB_REPLICAS": "1",
    }


def command(folder, settings, *words, script=True):
    """Run the script, or the flask command, with these settings and nothing else, and return how it ended."""
    flask = ["-m", "flask", "--app", "wsgi", "check-production"]
    program = [str(ROOT / "scripts/check_production.py")] if script else flask
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    done = subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert [text for text in CANARIES if text in done.stdout + done.stderr] == []
    return done


@pytest.fixture
def look(tmp_path, good, monkeypatch):
    """Return a function that makes every check with some settings changed: what fails, and the states by name."""
    monkeypatch.chdir(tmp_path)  # no .env lies there
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setenv("WEB_REPLICAS", "1")

    def check(*, before_migrating=False, **changed):
        secrets = {name: text for name, text in changed.items() if name.endswith("_URL")}
        others = {name: text for name, text in changed.items() if name not in secrets}
        known = {**good, **files(tmp_path, secrets), **others}
        found = run.findings(Production(known, before_migrating=before_migrating))
        assert [text for text in CANARIES if text in str(found)] == []
        assert all(each.reason and (each.remedy or each.state == "PASS") for each in found)
        assert not any("\n" in each.reason for each in found)
        bad = {each.check for each in found if each.state == "FAIL"} - AS_ROOT
        return sorted(bad), {each.check: each.state for each in found}

    return check


def test_a_good_server_passes(look):
    """With a role that only reads and writes rows, and a cache as it should be, every check passes."""
    bad, states = look()
    assert bad == []
    assert {name for name, state in states.items() if state != "PASS"} == AS_ROOT
    assert {"rights", "migrations", "timeouts", "clock", "redis-password", "cache", "encryption"} <= states.keys()


@pytest.mark.parametrize("right", ["boss", "pg_execute_server_program", "pg_read_server_files"])
def test_what_the_role_may_become_is_found(look, roles, postgres, right):
    """An application that may become a superuser, or run programs on the database's server, fails."""
    app, boss = (make_url(roles[kind]).username for kind in ("app", "boss"))
    granted = boss if right == "boss" else right
    postgres.sql(f"GRANT {granted} TO {app}")
    try:
        assert "rights" in look()[0]
    finally:
        postgres.sql(f"REVOKE {granted} FROM {app}")


def test_a_superuser_is_found(look, roles):
    """The application as a superuser fails, and what it is is said by the check of its rights."""
    assert look(DATABASE_URL=roles["boss"])[0] == ["rights"]


def test_a_role_without_limits_is_found(look, roles, postgres):
    """Where only the application itself sets limits, whoever else comes as its role has none."""
    role = roles["app"].partition("//")[2].partition(":")[0]
    postgres.sql(f"ALTER ROLE {role} SET statement_timeout = 0")
    try:
        assert look()[1]["timeouts"] == "WARN"
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
def test_a_cache_that_will_not_do_is_found(look, operator, setting, check, state):
    """A cache that keeps everything, grows without end or answers everybody is found, and nothing else is wrong."""
    operator.config_set(*setting)
    bad, states = look()
    assert (bad, states[check]) == ([check] if state == "FAIL" else [], state)


def test_what_may_not_be_asked_is_a_warning(look, operator):
    """Where the user may not ask for the policy, somebody else has to look."""
    operator.execute_command("ACL", "SETUSER", "cache", "-info")
    bad, states = look()
    assert (bad, states["cache"]) == ([], "WARN")


@pytest.mark.parametrize(
    ("settings", "state"),
    [(("noeviction", "yes"), "PASS"), (("noeviction", "no"), "FAIL"), (("allkeys-lru", "yes"), "FAIL")],
)
def test_sessions(look, operator, cache, settings, state):
    """A Redis for sessions never evicts and writes down what it has; the cache's would not do for them."""
    for name, value in zip(("maxmemory-policy", "appendonly"), settings, strict=True):
        operator.config_set(name, value)
    assert look(SESSION_REDIS_URL=cache)[1]["sessions"] == state


@pytest.mark.parametrize(("deploying", "state"), [(False, "FAIL"), (True, "PASS")])
def test_pending_migrations(look, postgres, roles, deploying, state):
    """An empty database is no fault before a deploy has migrated it, and is one otherwise."""
    name = f"empty_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    urls = {
        f"{kind}_URL": roles[role].rpartition("/")[0] + f"/{name}"
        for kind, role in (("DATABASE", "app"), ("MIGRATION_DATABASE", "owner"))
    }
    bad, states = look(before_migrating=deploying, **urls)
    assert (bad, states["migrations"]) == (["migrations"] if state == "FAIL" else [], state)


def test_a_schema_that_has_parted_is_found(look, postgres):
    """A migration that this release does not know, in the place of one that it needs, stops a deploy too."""
    url = fresh_database(postgres)
    last = "(SELECT max(revision) FROM applied_migrations)"
    other = f"UPDATE applied_migrations SET revision = 'other' WHERE revision = {last}"
    postgres.sql(other, database=url.rpartition("/")[2])
    roles = make_roles(postgres, url)
    bad, _ = look(before_migrating=True, DATABASE_URL=roles["app"], MIGRATION_DATABASE_URL=roles["owner"])
    assert bad == ["migrations"]


def test_servers_that_are_away(look, roles, postgres, valkey, cache):
    """Each check whose server does not answer fails in one line, with where to look; the others are made."""
    gone = {
        name: roles[role].replace(f":{postgres.port}/", f":{free_port()}/")
        for name, role in (("DATABASE_URL", "app"), ("MIGRATION_DATABASE_URL", "owner"))
    }
    bad, states = look(**gone, REDIS_URL=cache.replace(f":{valkey.port}/", f":{free_port()}/"))
    assert bad == sorted(
        ["connections", "rights", "migrations", "checksums", "version", "timeouts", "clock", "redis-password", "cache"]
    )
    assert states["keys"] == states["hosts"] == "PASS"


def test_a_frozen_server_keeps_nobody_waiting(look, own_postgres, valkey):
    """Servers that take connections and say nothing are given up, each wait after a second or two."""
    frozen = make_roles(own_postgres, fresh_database(own_postgres))
    began = time.monotonic()
    with own_postgres.frozen(), valkey.frozen():
        bad, _ = look(DATABASE_URL=frozen["app"], MIGRATION_DATABASE_URL=frozen["owner"])
    assert {"connections", "rights", "cache"} <= set(bad)
    assert time.monotonic() - began < 40


def test_a_wrong_password_is_not_repeated(look, roles, cache):
    """Neither server's refusal, nor a URL of which everything is wrong, brings a secret into what is printed."""
    bad, _ = look(DATABASE_URL=roles["app"].replace(APP, OWNER), REDIS_URL=cache.replace(CACHE, APP))
    assert {"rights", "redis-password"}.isdisjoint(bad)  # the owner asks for the one, nobody for the other
    assert {"timeouts", "cache", "passwords"} <= set(bad)


@pytest.mark.parametrize("script", [True, False])
def test_the_commands(tmp_path, good, script):
    """The script and `flask check-production` print a list, and end with 1 if anything fails or, strictly, warns."""
    done = command(tmp_path, good, "--json", script=script)
    assert done.returncode == int(bool(AS_ROOT))
    found = json.loads(done.stdout)
    assert {tuple(each) for each in found} == {("check", "state", "reason", "remedy")}
    assert {each["check"] for each in found if each["state"] != "PASS"} == AS_ROOT
    assert command(tmp_path, {**good, "HSTS": ""}, "--strict", script=script).returncode == 1


@pytest.mark.parametrize("script", [True, False])
def test_settings_that_cannot_be_used(tmp_path, good, script):
    """Each is named, by the script and by flask, which then has no application."""
    settings = {**good, "TRUSTED_HOSTS": "", "TRUSTED_PROXIES": "many"}
    done = command(tmp_path, settings, script=script)
    assert done.returncode == 1
    assert all(name in done.stdout + done.stderr for name in ("TRUSTED_HOSTS: ", "TRUSTED_PROXIES: "))
