"""scripts/check_production.py: the sum of all connections, the role's rights, and what is said of them."""

import importlib.util
import json
import re
import sys

import psycopg2
import pytest

from app import database
from config import load
from tests.helpers import ROOT

PRODUCTION = {
    "FLASK_ENV": "production",
    "SECRET_KEY": "x7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5",
    "DATABASE_URL": "postgresql://app@db/app",
    "MIGRATION_DATABASE_URL": "postgresql://app_owner@db/app",
    "REDIS_URL": "redis://cache",
    "TRUSTED_HOSTS": "shop.example",
}
POSTGRES = [("max_connections", 100), ("reserved_connections", 10), ("superuser_reserved_connections", 3)]
PGBOUNCER = {"default_pool_size": "20", "reserve_pool_size": "0", "max_db_connections": "20", "max_client_conn": "1000"}
ORDINARY = [(False, False, False)]


@pytest.fixture(scope="module")
def script():
    """The script, as Python runs it: its own folder is where it finds its modules."""
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("check_production", ROOT / "scripts/check_production.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(ROOT / "scripts"))
    return module


class Servers:
    """What Postgres and PgBouncer answer."""

    def __init__(self):
        self.limits, self.rights, self.pgbouncer, self.timeout = POSTGRES, ORDINARY, dict(PGBOUNCER), 1250
        self.asked = []

    def ask(self, url, sql, *_values):
        """Answer a statement, or refuse the connection."""
        self.asked.append((url.host, url.username))
        for text, rows in {
            "max_connections": self.limits,
            "SHOW CONFIG": self.pgbouncer and [(*pair, "", "yes") for pair in self.pgbouncer.items()],
            "statement_timeout": [(self.timeout,)],
            "rolsuper": self.rights,
        }.items():
            if text in sql and rows is not None:
                return rows
        raise psycopg2.OperationalError("connection refused\nIs the server running?")


@pytest.fixture
def servers():
    """What the servers answer, for a test to change."""
    return Servers()


@pytest.fixture
def look(script, servers, monkeypatch, tmp_path):
    """Return a function that makes every check with these settings, and gives the findings by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script.Production, "ask", lambda _self, *words: servers.ask(*words))

    def run(**settings):
        for name in ("WEB_CONCURRENCY", "GUNICORN_THREADS", "WEB_REPLICAS", "DATABASE_HOST", "DB_POOL_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (PRODUCTION | {"WEB_CONCURRENCY": "2"} | settings).items():
            monkeypatch.setenv(name, value)
        return {finding.check: finding for finding in script.findings(script.Production())}

    return run


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
    assert {finding.state for finding in found.values()} == {"PASS"}


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
    servers.timeout = 2000
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
    assert set(servers.asked) == {("db", "app_owner")}


def test_away(look, servers):
    """A database that does not answer fails each check, in one line, with where to look."""
    servers.limits = servers.rights = None
    found = look()
    assert {finding.state for finding in found.values()} == {"FAIL"}
    assert found["connections"].reason == "could not be looked at: connection refused."
    assert "Does db answer?" in found["connections"].remedy


@pytest.mark.parametrize("settings", [{"SECRET_KEY": "weak"}, {"GUNICORN_THREADS": "many"}, {"WEB_REPLICAS": "0"}])
def test_settings(look, servers, settings):
    """Settings that cannot be used are the one thing that is said, by their names."""
    [found] = look(**settings).values()
    assert (found.check, found.state, *settings) == (
        "settings",
        "FAIL",
        re.search(r"\b[A-Z]+_[A-Z]+(?=:)", found.reason)[0],
    )
    assert servers.asked == []


@pytest.fixture
def printed(script, look, servers, monkeypatch, capsys):
    """Return a function that runs the script before a Postgres of so many connections; it gives code and output."""

    def run(most, *words):
        servers.limits = [("max_connections", most), *POSTGRES[1:]]
        look()
        monkeypatch.setattr(sys, "argv", ["check_production.py", *words])
        return script.main(), capsys.readouterr().out

    return run


@pytest.mark.parametrize(("most", "code"), [(100, 0), (60, 1)])
def test_json(printed, most, code):
    """For machines it is a list; it ends with 1 if anything fails."""
    ended, output = printed(most, "--json")
    assert ended == code
    assert [(each["check"], each["state"]) for each in json.loads(output)] == [
        ("connections", "FAIL" if code else "PASS"),
        ("rights", "PASS"),
    ]


def test_for_people(printed):
    """For people it is a line a check."""
    lines = printed(100)[1].splitlines()
    assert [line.split(":")[0] for line in lines] == ["PASS connections", "PASS rights"]


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
    text = (ROOT / "pgbouncer/start.sh").read_text(encoding="utf-8")
    assert float(re.search(r"DB_TIMEOUT:-([\d.]+)", text)[1]) == load("development", {}).DB_TIMEOUT
