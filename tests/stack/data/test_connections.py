"""Connections to Postgres: all that may be opened fits, at full load too; what could not fit is refused."""

import itertools
import json
import secrets
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import is_problem
from tests.support.stack.confinement import has_default_route, privileges_beyond, processes
from tests.support.stack.load import Load, Request, light
from tests.support.stack.server import HOST

REPLICAS = 2
CLIENTS = 50 * REPLICAS
SECONDS = 10  # of full load, and of being frozen
QUICK = 2.0
PAST_NGINX = {"Cookie": "a=b"}
TOO_MANY = ("too many clients", "too many connections", "remaining connection slots are reserved")
OF_THE_APPLICATION = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend'"
pytestmark = pytest.mark.timeout(600)


class FullLoad(Load):
    """Clients that ask again as soon as they are answered, and for nothing that a cache has."""

    patience = 30  # it is not claimed that a server is quick whose processors have far more to do than they can

    def __init__(self, server):
        super().__init__(server.https, HOST, server.token(), keeping=CLIENTS, fresh=0, rate=1e6, choose=uncached())


def uncached():
    """Return a choice of lists that nobody has asked for, and of now and then a new product."""
    choose = light()

    def one(turn):
        request = choose(turn)
        return request if request.method == "POST" else Request("GET", new_list())

    return one


def new_list():
    """Return the path of a list that nobody has asked for."""
    return f"/api/products?limit=5&price_max={secrets.randbelow(10**9)}"


@pytest.fixture(scope="module")
def two(registry):
    """Return the second release."""
    return registry.release("two")


@pytest.fixture(scope="module")
def site(new_server, one):
    """Return a server with two containers to a colour, on which the first release serves."""
    server = new_server(replicas=REPLICAS)
    server.ops("deploy", one)
    return server


def check(site):
    """Return what the production check finds, by name, as an operator runs it."""
    words = ("run", "--rm", "--no-deps", "-T", "migrate", "python", "scripts/check_production.py", "--json")
    return {each["check"]: each for each in json.loads(site.compose(*words, check=False).stdout)}


def refusals(site):
    """Return the lines in which Postgres says that it takes no more connections."""
    lines = site.compose("logs", "--no-log-prefix", "db").stdout.splitlines()
    return [line for line in lines if any(text in line for text in TOO_MANY)]


def loaded(site, *words):
    """Load the server fully, then do a command of ops under that load, and return what users and Postgres saw."""
    connections, command = [], None
    with FullLoad(site) as load:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or (command and command.poll() is None):
            connections.append(int(site.sql(OF_THE_APPLICATION)[0]))
            if words and not command and time.monotonic() >= until:
                command = site.start_ops(*words)
    output, _ = command.communicate(timeout=10) if command else ("", "")
    return SimpleNamespace(report=load.report, most=max(connections), output=output)


@pytest.fixture(scope="module")
def full(site, two, figure):
    """Load the server fully, deploy under that load, and return what was seen."""
    seen = loaded(site, "deploy", two)
    figure(f"{CLIENTS} clients at full load, and a deploy: {seen.report}; {seen.most} connections")
    return seen


def test_full_load_never_meets_too_many_clients(site, full):
    """Fifty clients for each container, whose every request asks the database, cost no request, in a deploy neither."""
    assert full.report.failures == []
    assert full.report.total > CLIENTS
    assert site.release() == "two", full.output
    assert refusals(site) == []


def test_the_sum_is_an_upper_bound(site, full):
    """What was open at full load is within what the check has added up."""
    counted = check(site)["connections"]
    assert counted["state"] == "PASS"
    assert CLIENTS > full.most > REPLICAS
    assert full.most <= int(counted["reason"].partition(" web")[0].split()[-1])


@contextmanager
def clients(site, readers=4, writers=2):
    """Read and write in loops beside the block; yield the answers so far, as (when it was asked, the answer)."""
    seen, ended, token, numbers = [], threading.Event(), site.token(), itertools.count(1)

    def read():
        return site.ask(new_list(), headers=PAST_NGINX)

    def write():
        product = {"sku": f"FROZEN-{next(numbers)}", "name": "Mug", "price": 100, "currency": "EUR"}
        return site.ask("/api/products", "POST", json=product, token=token)

    def loop(ask):
        while not ended.wait(0.1):
            began = time.monotonic()
            seen.append((began, ask()))

    threads = [threading.Thread(target=loop, args=(ask,)) for ask in [read] * readers + [write] * writers]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def frozen(site, figure):
    """Freeze the database while clients ask, let it go on, and return what they saw, and when it was."""
    with clients(site) as seen:
        wait_for(lambda: len(seen) > 100)
        # Docker cannot freeze a container while it starts something in there, such as the health check.
        wait_for(lambda: site.compose("pause", "db", check=False).returncode == 0)
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() > begun + SECONDS, seconds=SECONDS + 5)
        over = time.monotonic()
        site.compose("unpause", "db")
        back = time.monotonic()
        wait_for(lambda: sum(began > back + QUICK for began, _ in seen) > 50, seconds=20)
    wait_for(lambda: site.status()["services"]["db"] == "healthy", seconds=60, pause=0.5)
    during = [answer for began, answer in seen if began > begun and began + answer.seconds < over]
    after = [(began - back, answer) for began, answer in seen if began > over]
    figure(f"frozen: {len(during)} answers, the slowest after {max(answer.seconds for answer in during):.2f} s")
    figure(f"back: the last 503 to a request {max((b for b, a in after if a.status == 503), default=0):.2f} s after it")
    return SimpleNamespace(during=during, after=after, all=[answer for _, answer in seen])


def test_a_frozen_database_is_a_quick_503(frozen):
    """While the database is frozen each read and each write is answered with 503, within two seconds."""
    assert len(frozen.during) > 50
    assert [answer.status for answer in frozen.during if not is_problem(answer, 503)] == []
    assert max(answer.seconds for answer in frozen.all) < QUICK


def test_back_soon_after_the_database(frozen):
    """Two seconds after the database is back, every read and every write is served."""
    assert {answer.status for began, answer in frozen.after if began > QUICK} == {200, 201}
    assert any(answer.status < 300 and began + answer.seconds < QUICK for began, answer in frozen.after)


@contextmanager
def settings(site, **changed):
    """Change settings of a server, in its .env, around the block."""
    path = site.folder / ".env"
    before = path.read_text()
    kept = [line for line in before.splitlines() if line.partition("=")[0] not in changed]
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changed.items()), ""]))
    yield
    path.write_text(before)


@pytest.mark.usefixtures("full")
def test_a_deploy_that_could_not_fit_is_refused(site, one):
    """More than Postgres takes is refused with the sum and the remedy, and users notice nothing."""
    before = site.status()
    with (
        settings(site, WEB_REPLICAS=8, GUNICORN_THREADS=16),
        Load(site.https, HOST, site.token(), keeping=2, fresh=1, rate=10) as load,
    ):
        done = site.ops("deploy", one, check=False)
    after = site.status()
    assert (done.returncode, "deploy stopped at “check”" in done.stdout) == (1, True), done.stdout
    web = "576 web (2 colours x 8 containers x 2 workers x (16 + 2 for probes))"
    assert f"FAIL connections: 586 connections = {web} + 1 migration + 4 backups + 5 monitoring;" in done.stdout
    assert "raise DB_CONNECTIONS to 604" in done.stdout
    assert load.report.failures == []
    kept = ("active_colour", "outside", "colours", "services")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


POOLED = {"COMPOSE_PROFILES": "pgbouncer", "DATABASE_HOST": "pgbouncer", "PGBOUNCER_POOL": 12}
NARROW = {"DB_CONNECTIONS": 40, "WEB_CONCURRENCY": 4}  # four times as many workers' connections as are left in Postgres


@pytest.fixture(scope="module")
def pooled(site, one, figure):
    """Narrow Postgres down, see that it cannot do, put PgBouncer in between, deploy, and load that fully."""
    with settings(site, **NARROW):
        site.compose("up", "--detach", "--no-deps", "--wait", "db")
        refused = check(site)["connections"]
    with settings(site, **NARROW, **POOLED):
        site.ops("deploy", one)
        seen = loaded(site)
        figure(f"{CLIENTS} clients at full load through PgBouncer: {seen.report}; {seen.most} connections")
        yield SimpleNamespace(refused=refused, check=check(site), **vars(seen))


def test_what_cannot_fit_is_served_through_pgbouncer(site, pooled):
    """More processes than Postgres could take serve the same clients, over the few connections that it has."""
    assert pooled.refused["state"] == "FAIL"
    assert pooled.report.failures == []
    assert pooled.report.total > CLIENTS
    assert 0 < pooled.most <= POOLED["PGBOUNCER_POOL"]
    assert refusals(site) == []
    asked = ("connections", "clients", "pooler", "rights", "timeouts")
    assert {name: pooled.check[name]["state"] for name in asked} == dict.fromkeys(asked, "PASS")


@pytest.fixture
def locked(site):
    """Return the path of a product whose row somebody has locked."""
    token = site.token()
    product = {"sku": f"LOCKED-{secrets.token_hex(4)}", "name": "Mug", "price": 100, "currency": "EUR"}
    path = site.ask("/api/products", "POST", json=product, token=token).headers["Location"]
    with site.psql() as session:
        session.stdin.write(f"BEGIN; SELECT 'locked' FROM products WHERE sku = '{product['sku']}' FOR UPDATE;\n")
        assert session.stdout.readline().strip() == "locked"
        yield path, token
        session.stdin.close()


@pytest.mark.usefixtures("pooled")
def test_a_statement_that_takes_too_long_is_cut_off_through_pgbouncer(site, locked):
    """Postgres itself ends it by the application's limit, though one connection serves many clients."""
    path, token = locked
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    answer = site.ask(path, "PATCH", json={"price": 1}, token=token, headers=headers)
    assert is_problem(answer, 503)
    assert 1 < answer.seconds < QUICK
    lines = site.compose("logs", "--no-log-prefix", f"web-{site.status()['active_colour']}").stdout.splitlines()
    said = [line for line in lines if answer.request_id in line]
    assert any("canceling statement due to statement timeout" in line for line in said), said


@pytest.mark.usefixtures("pooled")
def test_a_transaction_that_idles_is_ended_through_pgbouncer(site):
    """Who has gone away in the middle of one does not keep a connection that others wait for."""
    script = "PGPASSWORD=$(cat /run/secrets/app_password) psql -h 127.0.0.1 -U app -d app -At"
    shown = site.compose(
        "exec", "-T", "pgbouncer", "sh", "-c", f"{script} -c 'SHOW idle_in_transaction_session_timeout'"
    )
    assert shown.stdout.strip() == "2500ms"


@pytest.mark.usefixtures("pooled")
def test_pgbouncer_may_do_no_more_than_the_others(site):
    """No root, no capability, nothing to write to, no way out, one secret."""
    for process in processes(site, "pgbouncer"):
        assert privileges_beyond(process, "999") == {}, process["Name:"]
    assert "Read-only file system" in site.compose("exec", "-T", "pgbouncer", "touch", "/planted", check=False).stderr
    assert not has_default_route(site, "pgbouncer")
    assert site.compose("exec", "-T", "pgbouncer", "ls", "/run/secrets").stdout.split() == ["app_password"]


@pytest.mark.usefixtures("pooled")
def test_pgbouncers_health_is_postgres_health(site):
    """It is healthy while Postgres answers through it, and not while Postgres is away."""
    assert site.is_well("pgbouncer")
    site.compose("stop", "db")
    assert not site.is_well("pgbouncer")
    site.compose("start", "db")
    wait_for(lambda: site.is_well("pgbouncer"), seconds=60, pause=1)
    wait_for(lambda: site.ask(new_list(), headers=PAST_NGINX).status == 200)
