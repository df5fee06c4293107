"""The production check: the sum of all connections, timeouts and errors of checks, redaction and output."""

import json
import re
import threading
import time

import click.testing
import pytest

from app.checks import context, run
from app.checks.finding import passed
from app.checks.registry import CHECKS, Check
from app.cli import check_production as command
from app.db import session as database
from config import load
from tests.support.helpers import ROOT
from tests.support.production_fakes import APP, CACHE, KEY, OWNER, POSTGRES, SETTINGS, Backends, FakeContext


@pytest.fixture
def backends():
    """The backends' responses, for a test to change."""
    return Backends()


@pytest.fixture
def make_context(monkeypatch, tmp_path):
    """Return a function that creates a context with these settings."""
    monkeypatch.chdir(tmp_path)  # it has no .env

    def make(backends, **settings):
        for name in ("WEB_CONCURRENCY", "GUNICORN_THREADS", "WEB_REPLICAS", "DATABASE_HOST", "DB_POOL_SIZE"):
            monkeypatch.delenv(name, raising=False)
        known = SETTINGS | {"WEB_CONCURRENCY": "2"} | settings
        for name in known.keys() & {"WEB_CONCURRENCY", "GUNICORN_THREADS", "WEB_REPLICAS", "REDIS_URL"}:
            monkeypatch.setenv(name, known[name])
        return FakeContext(known, backends)

    return make


@pytest.fixture
def run_checks(make_context, backends):
    """Return a function that runs all checks with these settings and returns the findings by name."""

    def make(**settings):
        backends.now = time.time
        return {finding.check: finding for finding in run.run_checks(make_context(backends, **settings))}

    return make


def test_connections_of_the_bundle(run_checks):
    """The bundle's default settings fit, and the finding shows the calculation."""
    found = run_checks()["connections"]
    web = "48 web (2 colours x 2 containers x 2 workers x (4 + 2 for probes))"
    others = "1 migration + 4 backups + 5 monitoring"
    assert found.reason == f"58 connections = {web} + {others}; Postgres has 87 of 100 not reserved."
    assert found.state == "PASS"


@pytest.mark.parametrize(
    ("settings", "total"),
    [
        ({"WEB_REPLICAS": "3"}, 82),
        ({"WEB_CONCURRENCY": "4"}, 106),
        ({"GUNICORN_THREADS": "8"}, 90),
        ({"DB_POOL_SIZE": "2"}, 42),
        ({"GUNICORN_THREADS": "8", "DB_POOL_SIZE": "4"}, 58),
    ],
)
def test_sum(run_checks, settings, total):
    """Each setting that allows more connections counts, for both colours."""
    assert run_checks(**settings)["connections"].reason.startswith(f"{total} connections = ")


@pytest.mark.parametrize(("limit", "state"), [(76, "PASS"), (75, "WARN"), (71, "WARN"), (70, "FAIL")])
def test_limit(run_checks, backends, limit, state):
    """58 connections and 13 reserved ones fit with 5 left for operators, warn with fewer, and fail with none."""
    backends.limits = [("max_connections", limit), *POSTGRES[1:]]
    assert run_checks()["connections"].state == state


def test_remedy(run_checks, backends):
    """The remedy lists every option and the sufficient number, which then passes."""
    found = run_checks(WEB_REPLICAS="8", GUNICORN_THREADS="16")["connections"]
    assert found.state == "FAIL"
    assert re.search(r"WEB_REPLICAS, .* GUNICORN_THREADS, or raise DB_CONNECTIONS to (\d+), .* PgBouncer", found.remedy)
    backends.limits = [("max_connections", int(re.search(r"to (\d+)", found.remedy)[1])), *POSTGRES[1:]]
    assert run_checks(WEB_REPLICAS="8", GUNICORN_THREADS="16")["connections"].state == "PASS"


def test_connections_before_postgres_16(run_checks, backends):
    """Before Postgres 16 only superuser connections are reserved."""
    backends.limits = [POSTGRES[0], POSTGRES[2]]
    assert "97 of 100" in run_checks()["connections"].reason


def test_pgbouncer(run_checks):
    """With PgBouncer its pool must fit into Postgres, and all processes into its client limit."""
    found = run_checks(DATABASE_HOST="pgbouncer", WEB_REPLICAS="8")
    assert found["connections"].reason.startswith("30 connections = 20 PgBouncer + 1 migration + ")
    clients = "197 connections to PgBouncer = 192 web (2 colours x 8 containers x 2 workers x (4 + 2 for probes))"
    assert found["clients"].reason == f"{clients} + 5 others; it accepts 1000."
    assert {found[name].state for name in ("connections", "clients", "pooler", "privileges")} == {"PASS"}


def test_pgbouncer_pool_too_large(run_checks, backends):
    """The remedy for a pool that does not fit names PgBouncer's setting."""
    backends.pgbouncer |= {"default_pool_size": "90", "max_db_connections": "0"}
    found = run_checks(DATABASE_HOST="pgbouncer")["connections"]
    assert (found.state, found.remedy.split(",")[0]) == ("FAIL", "Lower PGBOUNCER_POOL")


def test_too_many_clients(run_checks, backends):
    """The remedy for too many clients has the sufficient number."""
    backends.pgbouncer["max_client_conn"] = "52"
    found = run_checks(DATABASE_HOST="pgbouncer")["clients"]
    assert (found.state, found.remedy.endswith("or raise PGBOUNCER_CLIENTS to 53.")) == ("FAIL", True)


def test_unknown_pooler(run_checks, backends):
    """A pooler that does not report its pool size is a warning with the number to stay below."""
    backends.pgbouncer = None
    found = run_checks(DATABASE_HOST="pooler.example")
    assert (found["connections"].state, found["pooler"].state) == ("WARN", "PASS")
    assert "87" in found["connections"].remedy


def test_pgbouncer_with_another_timeout(run_checks, backends):
    """A PgBouncer that was started with another DB_TIMEOUT is a warning."""
    backends.pooled_timeout = 2000
    found = run_checks(DATABASE_HOST="pgbouncer")["pooler"]
    assert (found.state, found.reason) == (
        "WARN",
        "through pgbouncer, statement_timeout is 2000 ms; DB_TIMEOUT requires 1250 ms.",
    )


@pytest.mark.parametrize(
    ("privileges", "message"),
    [
        ([(True, False, False)], "has administrative attributes"),
        ([(False, True, False)], "may create objects"),
        ([(False, False, True)], "owns tables"),
        ([], "does not exist"),
    ],
)
def test_privileges(run_checks, backends, privileges, message):
    """A role that may change the schema fails."""
    backends.privileges = privileges
    found = run_checks()["privileges"]
    assert (found.state, message in found.reason) == ("FAIL", True)


def test_unavailable_database(run_checks, backends):
    """An unavailable database fails each check that requires it, in one line with a diagnosis."""
    backends.unavailable = True
    found = run_checks()
    requiring = {check.name for check in CHECKS if check.requires == "Postgres"} & found.keys()
    assert {name for name, finding in found.items() if finding.state == "FAIL"} == requiring
    assert found["connections"].reason == "could not be checked: connection refused."
    assert "Is db up?" in found["connections"].remedy


@pytest.mark.parametrize("settings", [{"SECRET_KEY": "weak"}, {"GUNICORN_THREADS": "many"}, {"WEB_REPLICAS": "0"}])
def test_invalid_settings(run_checks, backends, settings):
    """Invalid settings are the only finding, and are named."""
    [found] = run_checks(**settings).values()
    assert (found.check, found.state, found.reason.partition(":")[0]) == ("settings", "FAIL", *settings)
    assert backends.queries == []


def test_every_invalid_setting_is_named(make_context, backends):
    """Each invalid setting is one finding."""
    found = run.run_checks(make_context(backends, SECRET_KEY="weak", TRUSTED_PROXIES="many", TRUSTED_HOSTS=""))
    assert [each.reason.partition(":")[0] for each in found] == ["SECRET_KEY", "TRUSTED_HOSTS", "TRUSTED_PROXIES"]
    assert {(each.check, each.state) for each in found} == {("settings", "FAIL")}


def test_development_settings(make_context, backends):
    """The first finding about development settings is FLASK_ENV."""
    found = run.run_checks(make_context(backends, FLASK_ENV="development", SECRET_KEY=""))
    assert next(each.reason for each in found) == "FLASK_ENV is development."
    assert len(found) == 2


def test_secrets_are_redacted(make_context, backends):
    """Passwords and keys in a backend's message are redacted."""
    backends.schema = OSError(f"refused for {OWNER}, {APP}, {CACHE} and {KEY}")
    text = str(run.run_checks(make_context(backends)))
    assert "refused for ***, ***, *** and ***" in text
    assert [secret for secret in (OWNER, APP, CACHE, KEY) if secret in text] == []


def test_query_string_passwords_are_redacted(make_context, backends):
    """A password in the query string of a database URL is redacted too."""
    backends.schema = OSError("refused for x7Gq2mZp9s")
    text = str(run.run_checks(make_context(backends, DATABASE_URL="postgresql://app@db/app?password=x7Gq2mZp9s")))
    assert ("refused for ***" in text, "x7Gq2mZp9s" in text) == (True, False)


def test_hanging_check(make_context, backends, monkeypatch):
    """A check that does not end times out and fails."""
    monkeypatch.setattr(run, "TIMEOUT_S", 0.01)
    ended, started = threading.Event(), time.monotonic()

    def hang(_context):
        ended.wait()
        yield passed("at last")

    [found] = run.run_with_timeout(Check("slow", hang, "", requires="Redis"), make_context(backends))
    ended.set()
    assert time.monotonic() - started < 5
    assert (found.state, found.reason) == ("FAIL", "timed out after 0 s.")
    assert "Is redis-cache up?" in found.remedy


def test_broken_check(make_context, backends):
    """An exception in a check fails only that check."""

    def fail(_context):
        yield passed("so far")
        raise KeyError("secret")

    [found] = run.run_with_timeout(Check("broken", fail, ""), make_context(backends))
    assert (found.state, found.reason) == ("FAIL", "could not be checked: KeyError.")


@pytest.fixture
def run_command(make_context, backends, monkeypatch, tmp_path):
    """Return a function that runs the command against a Postgres with this connection limit."""
    files = dict.fromkeys(("SECRET_KEY", "DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL"), "")
    for name in list(files):
        files[f"{name}_FILE"] = str(tmp_path / name)
        (tmp_path / name).write_text(SETTINGS[name], encoding="utf-8")
        (tmp_path / name).chmod(0o600)

    def run(limit, *arguments):
        backends.limits, backends.now = [("max_connections", limit), *POSTGRES[1:]], time.time
        monkeypatch.setattr(context, "CheckContext", lambda **_options: make_context(backends, **files))
        return click.testing.CliRunner().invoke(command.check_production, arguments)

    return run


@pytest.mark.parametrize(("limit", "code", "strict_code"), [(100, 0, 0), (75, 0, 1), (60, 1, 1)])
def test_json(run_command, limit, code, strict_code):
    """--json prints a list; the exit code is 1 after a failure, and with --strict after a warning."""
    done = run_command(limit, "--json")
    assert done.exit_code == code
    assert run_command(limit, "--strict").exit_code == strict_code
    states = {each["check"]: each["state"] for each in json.loads(done.output)}
    assert states["connections"] == {100: "PASS", 75: "WARN", 60: "FAIL"}[limit]
    assert {tuple(each) for each in json.loads(done.output)} == {("check", "state", "reason", "remedy")}


def test_text(run_command):
    """The default output is one line for each finding, in the order of the registry."""
    lines = run_command(100).output.splitlines()
    expected = [check.name for check in CHECKS if check.name not in {"clients", "pooler", "sessions"}]
    names = list(dict.fromkeys(line.split(":")[0].removeprefix("PASS ").removeprefix("WARN ") for line in lines))
    assert names == expected


def test_probes_are_counted(app):
    """The sum includes every readiness probe that opens its own connection."""
    assert set(database.PROBES) == set(app.extensions["probes"])


def test_compose_passes_the_replicas():
    """The check counts as many containers as Compose starts."""
    text = (ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"replicas: \"(.+?)\"|WEB_REPLICAS: (\S+)", text)) == {
        ("${WEB_REPLICAS:-2}", ""),
        ("", "${WEB_REPLICAS:-2}"),
    }


def test_pgbouncer_has_the_application_timeout():
    """PgBouncer's default statement timeout equals the application's."""
    text = (ROOT / "deploy/pgbouncer/start.sh").read_text(encoding="utf-8")
    assert float(re.search(r"DB_TIMEOUT:-([\d.]+)", text)[1]) == load("development", {}).DB_TIMEOUT
