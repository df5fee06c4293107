"""The production check: the sum of all connections, the role's rights, and how what is found is said."""

import json
import re
import threading
import time

import click.testing
import pytest

from app.checks import production, run
from app.checks.checks import CHECKS, Check
from app.checks.finding import passed
from app.cli import check_production as command
from app.db import session as database
from config import load
from tests.support.helpers import ROOT
from tests.support.production_fakes import APP, CACHE, KEY, OWNER, POSTGRES, SETTINGS, FakeProduction, Servers


@pytest.fixture
def servers():
    """What the servers answer, for a test to change."""
    return Servers()


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Return a function that gives the server with these settings."""
    monkeypatch.chdir(tmp_path)  # no .env lies there

    def make(servers, **settings):
        for name in ("WEB_CONCURRENCY", "GUNICORN_THREADS", "WEB_REPLICAS", "DATABASE_HOST", "DB_POOL_SIZE"):
            monkeypatch.delenv(name, raising=False)
        known = SETTINGS | {"WEB_CONCURRENCY": "2"} | settings
        for name in known.keys() & {"WEB_CONCURRENCY", "GUNICORN_THREADS", "WEB_REPLICAS", "REDIS_URL"}:
            monkeypatch.setenv(name, known[name])
        return FakeProduction(known, servers)

    return make


@pytest.fixture
def look(here, servers):
    """Return a function that makes every check with these settings, and gives the findings by name."""

    def make(**settings):
        servers.now = time.time
        return {finding.check: finding for finding in run.findings(here(servers, **settings))}

    return make


def test_by_default(look):
    """The bundle's own settings fit, and each part of the sum is said."""
    found = look()["connections"]
    web = "48 web (2 colours x 2 containers x 2 workers x (4 + 2 for probes))"
    others = "1 migration + 4 backups + 5 monitoring"
    assert found.reason == f"58 connections = {web} + {others}; 87 of the 100 of Postgres are not reserved."
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
def test_sum(look, settings, total):
    """Each setting that lets more be opened counts, in both colours."""
    assert look(**settings)["connections"].reason.startswith(f"{total} connections = ")


@pytest.mark.parametrize(("most", "state"), [(76, "PASS"), (75, "WARN"), (71, "WARN"), (70, "FAIL")])
def test_limit(look, servers, most, state):
    """Of 58 connections and 13 reserved ones, five more leave room for people; one less than all does not fit."""
    servers.limits = [("max_connections", most), *POSTGRES[1:]]
    assert look()["connections"].state == state


def test_remedy(look, servers):
    """What is too much is told with every way out, and the number that would do, which then does."""
    found = look(WEB_REPLICAS="8", GUNICORN_THREADS="16")["connections"]
    assert found.state == "FAIL"
    assert re.search(r"WEB_REPLICAS, .* GUNICORN_THREADS, or raise DB_CONNECTIONS to (\d+), .* PgBouncer", found.remedy)
    servers.limits = [("max_connections", int(re.search(r"to (\d+)", found.remedy)[1])), *POSTGRES[1:]]
    assert look(WEB_REPLICAS="8", GUNICORN_THREADS="16")["connections"].state == "PASS"


def test_an_older_postgres(look, servers):
    """Before 16 there was no reserve but the superuser's."""
    servers.limits = [POSTGRES[0], POSTGRES[2]]
    assert "97 of the 100" in look()["connections"].reason


def test_pgbouncer(look):
    """With PgBouncer it is its pool that must fit into Postgres, and all processes into what it takes."""
    found = look(DATABASE_HOST="pgbouncer", WEB_REPLICAS="8")
    assert found["connections"].reason.startswith("30 connections = 20 PgBouncer + 1 migration + ")
    clients = "197 connections to PgBouncer = 192 web (2 colours x 8 containers x 2 workers x (4 + 2 for probes))"
    assert found["clients"].reason == f"{clients} + 5 others; it takes 1000."
    assert {found[name].state for name in ("connections", "clients", "pooler", "rights")} == {"PASS"}


def test_a_pool_that_is_too_large(look, servers):
    """A pool that does not fit is told with PgBouncer's own setting."""
    servers.pgbouncer |= {"default_pool_size": "90", "max_db_connections": "0"}
    found = look(DATABASE_HOST="pgbouncer")["connections"]
    assert (found.state, found.remedy.split(",")[0]) == ("FAIL", "Lower PGBOUNCER_POOL")


def test_too_many_clients(look, servers):
    """More processes than PgBouncer takes are told with the number that would do."""
    servers.pgbouncer["max_client_conn"] = "52"
    found = look(DATABASE_HOST="pgbouncer")["clients"]
    assert (found.state, found.remedy.endswith("or raise PGBOUNCER_CLIENTS to 53.")) == ("FAIL", True)


def test_another_pooler(look, servers):
    """One that does not say how many connections it opens may be right: whoever chose it has to see."""
    servers.pgbouncer = None
    found = look(DATABASE_HOST="pooler.example")
    assert (found["connections"].state, found["pooler"].state) == ("WARN", "PASS")
    assert "87" in found["connections"].remedy


def test_pgbouncer_of_another_time(look, servers):
    """One that was made with another DB_TIMEOUT is told, and how to make it anew."""
    servers.pooled_timeout = 2000
    found = look(DATABASE_HOST="pgbouncer")["pooler"]
    assert (found.state, found.reason) == (
        "WARN",
        "through pgbouncer a statement may take 2000 ms; DB_TIMEOUT wants 1250.",
    )


@pytest.mark.parametrize(
    ("rights", "says"),
    [
        ([(True, False, False)], "is more than an ordinary role"),
        ([(False, True, False)], "may create what no migration did"),
        ([(False, False, True)], "owns tables, or may become who does"),
        ([], "does not exist"),
    ],
)
def test_rights(look, servers, rights, says):
    """A role that may change the schema is refused; it is looked at by the one that migrates."""
    servers.rights = rights
    found = look()["rights"]
    assert (found.state, says in found.reason) == ("FAIL", True)


def test_away(look, servers):
    """A database that does not answer fails each check that asks it, in one line, with where to look."""
    servers.away = True
    found = look()
    asking = {check.name for check in CHECKS if check.asks == "Postgres"} & found.keys()
    assert {name for name, finding in found.items() if finding.state == "FAIL"} == asking
    assert found["connections"].reason == "could not be looked at: connection refused."
    assert "Does db answer?" in found["connections"].remedy


@pytest.mark.parametrize("settings", [{"SECRET_KEY": "weak"}, {"GUNICORN_THREADS": "many"}, {"WEB_REPLICAS": "0"}])
def test_settings(look, servers, settings):
    """Settings that cannot be used are the one thing that is said, by their names."""
    [found] = look(**settings).values()
    assert (found.check, found.state, found.reason.partition(":")[0]) == ("settings", "FAIL", *settings)
    assert servers.asked == []


def test_each_setting_is_named(here, servers):
    """Of several that cannot be used each has its line."""
    found = run.findings(here(servers, SECRET_KEY="weak", TRUSTED_PROXIES="many", TRUSTED_HOSTS=""))
    assert [each.reason.partition(":")[0] for each in found] == ["SECRET_KEY", "TRUSTED_HOSTS", "TRUSTED_PROXIES"]
    assert {(each.check, each.state) for each in found} == {("settings", "FAIL")}


def test_a_developers_settings(here, servers):
    """Where nothing is set because this is no production, that is said first."""
    found = run.findings(here(servers, FLASK_ENV="development", SECRET_KEY=""))
    assert next(each.reason for each in found) == "FLASK_ENV is development."
    assert len(found) == 2


def test_no_secret_is_said(here, servers):
    """Whatever a server's message repeats, no password and no key is in what is printed."""
    servers.schema = OSError(f"refused for {OWNER}, {APP}, {CACHE} and {KEY}")
    text = str(run.findings(here(servers)))
    assert "refused for ***, ***, *** and ***" in text
    assert [secret for secret in (OWNER, APP, CACHE, KEY) if secret in text] == []


def test_no_password_of_a_query_is_said(here, servers):
    """Nor is one that stands behind the question mark of a database's address."""
    servers.schema = OSError("refused for x7Gq2mZp9s")
    text = str(run.findings(here(servers, DATABASE_URL="postgresql://app@db/app?password=x7Gq2mZp9s")))
    assert ("refused for ***" in text, "x7Gq2mZp9s" in text) == (True, False)


def test_a_check_that_hangs(here, servers, monkeypatch):
    """One that does not end is given up, and says so."""
    monkeypatch.setattr(run, "DEADLINE", 0.01)
    ended, began = threading.Event(), time.monotonic()

    def look(_production):
        ended.wait()
        yield passed("at last")

    [found] = run.within_deadline(Check("slow", look, "", asks="Redis"), here(servers))
    ended.set()
    assert time.monotonic() - began < 5
    assert (found.state, found.reason) == ("FAIL", "was not done within 0 s.")
    assert "Does redis-cache answer?" in found.remedy


def test_a_check_that_breaks(here, servers):
    """A fault of a check is that check's alone."""

    def look(_production):
        yield passed("so far")
        raise KeyError("secret")

    [found] = run.within_deadline(Check("broken", look, ""), here(servers))
    assert (found.state, found.reason) == ("FAIL", "could not be looked at: KeyError.")


@pytest.fixture
def printed(here, servers, monkeypatch, tmp_path):
    """Return a function that gives the command on a server whose Postgres has so many connections."""
    files = dict.fromkeys(("SECRET_KEY", "DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL"), "")
    for name in list(files):
        files[f"{name}_FILE"] = str(tmp_path / name)
        (tmp_path / name).write_text(SETTINGS[name], encoding="utf-8")
        (tmp_path / name).chmod(0o600)

    def give(most, *words):
        servers.limits, servers.now = [("max_connections", most), *POSTGRES[1:]], time.time
        monkeypatch.setattr(production, "Production", lambda **_options: here(servers, **files))
        return click.testing.CliRunner().invoke(command.check_production, words)

    return give


@pytest.mark.parametrize(("most", "code", "strictly"), [(100, 0, 0), (75, 0, 1), (60, 1, 1)])
def test_json(printed, most, code, strictly):
    """For machines it is a list; it ends with 1 if anything fails, and strictly if anything is a warning."""
    done = printed(most, "--json")
    assert done.exit_code == code
    assert printed(most, "--strict").exit_code == strictly
    states = {each["check"]: each["state"] for each in json.loads(done.output)}
    assert states["connections"] == {100: "PASS", 75: "WARN", 60: "FAIL"}[most]
    assert {tuple(each) for each in json.loads(done.output)} == {("check", "state", "reason", "remedy")}


def test_for_people(printed):
    """For people it is a line a check, in the order of the table."""
    lines = printed(100).output.splitlines()
    made = [check.name for check in CHECKS if check.name not in {"clients", "pooler", "sessions"}]
    names = list(dict.fromkeys(line.split(":")[0].removeprefix("PASS ").removeprefix("WARN ") for line in lines))
    assert names == made


def test_probes_are_counted(app):
    """Each probe that opens a connection beside the pool is in the sum: there is no other of the database's."""
    assert set(database.PROBES) == set(app.extensions["probes"])


def test_the_compose_file_passes_on_what_is_added_up():
    """As many containers are added up as are started."""
    text = (ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"replicas: \"(.+?)\"|WEB_REPLICAS: (\S+)", text)) == {
        ("${WEB_REPLICAS:-2}", ""),
        ("", "${WEB_REPLICAS:-2}"),
    }


def test_pgbouncers_limits_are_the_applications():
    """Without a setting, PgBouncer cuts statements off when the application would."""
    text = (ROOT / "deploy/pgbouncer/start.sh").read_text(encoding="utf-8")
    assert float(re.search(r"DB_TIMEOUT:-([\d.]+)", text)[1]) == load("development", {}).DB_TIMEOUT
