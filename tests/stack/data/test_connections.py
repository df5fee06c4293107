"""Connections to Postgres stay within its limit under full load; a deploy that could exceed it is refused."""

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
SECONDS = 10  # of full load, and of the freeze
QUICK_S = 2.0
PAST_NGINX = {"Cookie": "a=b"}
TOO_MANY = ("too many clients", "too many connections", "remaining connection slots are reserved")
APPLICATION_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend'"
)
pytestmark = pytest.mark.timeout(600)


class FullLoad(Load):
    """Clients that send uncached requests without a pause."""

    timeout = 30  # an overloaded server may be slow

    def __init__(self, server):
        super().__init__(server.https, HOST, server.token(), keep_alive=CLIENTS, fresh=0, rate=1e6, choose=uncached())


def uncached():
    """Return a request factory: uncached lists, and some new products."""
    choose = light()

    def choose_uncached(turn):
        request = choose(turn)
        return request if request.method == "POST" else Request("GET", new_list())

    return choose_uncached


def new_list():
    """Return the path of an uncached list."""
    return f"/api/products?limit=5&price_max={secrets.randbelow(10**9)}"


@pytest.fixture(scope="module")
def two(registry):
    """Return the second release."""
    return registry.release("two")


@pytest.fixture(scope="module")
def site(new_server, one):
    """Return a server with two containers per colour and a live release."""
    server = new_server(replicas=REPLICAS)
    server.ops("deploy", one)
    return server


def check(site):
    """Return the findings of the production check by name."""
    argv = ("run", "--rm", "--no-deps", "-T", "migrate", "python", "scripts/check_production.py", "--json")
    return {each["check"]: each for each in json.loads(site.compose(*argv, check=False).stdout)}


def refusals(site):
    """Return the log lines of refused connections."""
    lines = site.compose("logs", "--no-log-prefix", "db").stdout.splitlines()
    return [line for line in lines if any(text in line for text in TOO_MANY)]


def loaded(site, *argv):
    """Run a command of ops under full load; return the load report and the peak number of connections."""
    connections, command = [], None
    with FullLoad(site) as load:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or (command and command.poll() is None):
            connections.append(int(site.sql(APPLICATION_CONNECTIONS)[0]))
            if argv and not command and time.monotonic() >= until:
                command = site.start_ops(*argv)
    output, _ = command.communicate(timeout=10) if command else ("", "")
    return SimpleNamespace(report=load.report, most=max(connections), output=output)


@pytest.fixture(scope="module")
def full(site, two, figure):
    """Deploy under full load; return the report."""
    result = loaded(site, "deploy", two)
    figure(f"{CLIENTS} clients at full load, and a deploy: {result.report}; {result.most} connections")
    return result


@pytest.mark.guarantee("Under full load and during a deploy, no client sees Postgres run out of connections")
def test_full_load_exhausts_no_connections(site, full):
    """Fifty uncached clients per container receive no errors, including during a deploy."""
    assert full.report.failures == []
    assert full.report.total > CLIENTS
    assert site.release() == "two", full.output
    assert refusals(site) == []


def test_sum_is_an_upper_bound(site, full):
    """The connections at full load stay within the sum of the production check."""
    counted = check(site)["connections"]
    assert counted["state"] == "PASS"
    assert CLIENTS > full.most > REPLICAS
    assert full.most <= int(counted["reason"].partition(" web")[0].split()[-1])


@contextmanager
def clients(site, readers=4, writers=2):
    """Read and write in a loop around the block; yield the responses so far, as (start time, response)."""
    responses, ended, token, numbers = [], threading.Event(), site.token(), itertools.count(1)

    def read():
        return site.request(new_list(), headers=PAST_NGINX)

    def write():
        product = {"sku": f"FROZEN-{next(numbers)}", "name": "Mug", "price": 100, "currency": "EUR"}
        return site.request("/api/products", "POST", json=product, token=token)

    def loop(send):
        while not ended.wait(0.1):
            started = time.monotonic()
            responses.append((started, send()))

    threads = [threading.Thread(target=loop, args=(send,)) for send in [read] * readers + [write] * writers]
    for thread in threads:
        thread.start()
    try:
        yield responses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def frozen(site, figure):
    """Freeze and unfreeze the database under load; return the responses during and after it."""
    with clients(site) as responses:
        wait_for(lambda: len(responses) > 100)
        # Docker cannot pause a container while it starts a process in it, such as the health check.
        wait_for(lambda: site.compose("pause", "db", check=False).returncode == 0)
        frozen_at = time.monotonic()
        wait_for(lambda: time.monotonic() > frozen_at + SECONDS, seconds=SECONDS + 5)
        unfrozen_at = time.monotonic()
        site.compose("unpause", "db")
        back = time.monotonic()
        wait_for(lambda: sum(started > back + QUICK_S for started, _ in responses) > 50, seconds=20)
    wait_for(lambda: site.status()["services"]["db"] == "healthy", seconds=60, pause=0.5)
    during = [
        response for started, response in responses if started > frozen_at and started + response.seconds < unfrozen_at
    ]
    after = [(started - back, response) for started, response in responses if started > unfrozen_at]
    figure(f"frozen: {len(during)} responses, the slowest after {max(response.seconds for response in during):.2f} s")
    figure(f"back: the last 503 to a request {max((b for b, a in after if a.status == 503), default=0):.2f} s after it")
    return SimpleNamespace(during=during, after=after, all=[response for _, response in responses])


@pytest.mark.guarantee(
    "With Postgres frozen, every request gets a 503 within two seconds, and all succeed two seconds after it is back"
)
def test_frozen_database_is_a_quick_503(frozen):
    """While the database is frozen each request gets a 503 within two seconds."""
    assert len(frozen.during) > 50
    assert [response.status for response in frozen.during if not is_problem(response, 503)] == []
    assert max(response.seconds for response in frozen.all) < QUICK_S


@pytest.mark.guarantee(
    "With Postgres frozen, every request gets a 503 within two seconds, and all succeed two seconds after it is back"
)
def test_recovery_after_a_freeze(frozen):
    """Two seconds after the database is back, every request succeeds."""
    assert {response.status for started, response in frozen.after if started > QUICK_S} == {200, 201}
    assert any(response.status < 300 and started + response.seconds < QUICK_S for started, response in frozen.after)


@contextmanager
def settings(site, **changed):
    """Change settings in .env around the block."""
    path = site.folder / ".env"
    before = path.read_text()
    kept = [line for line in before.splitlines() if line.partition("=")[0] not in changed]
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changed.items()), ""]))
    yield
    path.write_text(before)


@pytest.mark.guarantee("A deploy whose connections exceed the limit is refused with the sum and a remedy")
@pytest.mark.usefixtures("full")
def test_deploy_with_too_many_connections_is_refused(site, one):
    """A deploy whose connections exceed the limit is refused with the sum and a remedy; users do not notice."""
    before = site.status()
    with (
        settings(site, WEB_REPLICAS=8, GUNICORN_THREADS=16),
        Load(site.https, HOST, site.token(), keep_alive=2, fresh=1, rate=10) as load,
    ):
        done = site.ops("deploy", one, check=False)
    after = site.status()
    assert (done.returncode, "deploy stopped at “preflight”" in done.stdout) == (1, True), done.stdout
    web = "576 web (2 colours x 8 containers x 2 workers x (16 + 2 for probes))"
    assert f"FAIL connections: 586 connections = {web} + 1 migration + 4 backups + 5 monitoring;" in done.stdout
    assert "raise DB_CONNECTIONS to 604" in done.stdout
    assert load.report.failures == []
    kept = ("active_colour", "outside", "colours", "services")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


POOLED = {"COMPOSE_PROFILES": "pgbouncer", "DATABASE_HOST": "pgbouncer", "PGBOUNCER_POOL": 12}
NARROW = {"DB_CONNECTIONS": 40, "WEB_CONCURRENCY": 4}  # a quarter of what the workers may open


@pytest.fixture(scope="module")
def pooled(site, one, figure):
    """Lower the connection limit, enable PgBouncer, deploy, and run full load."""
    with settings(site, **NARROW):
        site.compose("up", "--detach", "--no-deps", "--wait", "db")
        refused = check(site)["connections"]
    with settings(site, **NARROW, **POOLED):
        site.ops("deploy", one)
        result = loaded(site)
        figure(f"{CLIENTS} clients at full load through PgBouncer: {result.report}; {result.most} connections")
        yield SimpleNamespace(refused=refused, check=check(site), **vars(result))


@pytest.mark.guarantee("PgBouncer serves more workers than Postgres accepts, and statement timeouts still apply")
def test_pgbouncer_serves_what_exceeds_the_limit(site, pooled):
    """Through PgBouncer, workers that could exceed the limit serve the same load over few connections."""
    assert pooled.refused["state"] == "FAIL"
    assert pooled.report.failures == []
    assert pooled.report.total > CLIENTS
    assert 0 < pooled.most <= POOLED["PGBOUNCER_POOL"]
    assert refusals(site) == []
    names = ("connections", "clients", "pooler", "privileges", "timeouts")
    assert {name: pooled.check[name]["state"] for name in names} == dict.fromkeys(names, "PASS")


@pytest.fixture
def locked(site):
    """Yield the path of a product whose row is locked, and a token."""
    token = site.token()
    product = {"sku": f"LOCKED-{secrets.token_hex(4)}", "name": "Mug", "price": 100, "currency": "EUR"}
    path = site.request("/api/products", "POST", json=product, token=token).headers["Location"]
    with site.psql() as session:
        session.stdin.write(f"BEGIN; SELECT 'locked' FROM products WHERE sku = '{product['sku']}' FOR UPDATE;\n")
        assert session.stdout.readline().strip() == "locked"
        yield path, token
        session.stdin.close()


@pytest.mark.guarantee("PgBouncer serves more workers than Postgres accepts, and statement timeouts still apply")
@pytest.mark.usefixtures("pooled")
def test_statement_timeout_through_pgbouncer(site, locked):
    """Postgres applies the application's statement_timeout through PgBouncer."""
    path, token = locked
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    response = site.request(path, "PATCH", json={"price": 1}, token=token, headers=headers)
    assert is_problem(response, 503)
    assert 1 < response.seconds < QUICK_S
    lines = site.compose("logs", "--no-log-prefix", f"web-{site.status()['active_colour']}").stdout.splitlines()
    said = [line for line in lines if response.request_id in line]
    assert any("canceling statement due to statement timeout" in line for line in said), said


@pytest.mark.usefixtures("pooled")
def test_idle_transaction_timeout_through_pgbouncer(site):
    """Postgres applies the idle_in_transaction_session_timeout through PgBouncer."""
    script = "PGPASSWORD=$(cat /run/secrets/app_password) psql -h 127.0.0.1 -U app -d app -At"
    shown = site.compose(
        "exec", "-T", "pgbouncer", "sh", "-c", f"{script} -c 'SHOW idle_in_transaction_session_timeout'"
    )
    assert shown.stdout.strip() == "2500ms"


@pytest.mark.usefixtures("pooled")
def test_pgbouncer_least_privilege(site):
    """PgBouncer has no root, no capability, no writable disk, no default route and one secret."""
    for process in processes(site, "pgbouncer"):
        assert privileges_beyond(process, "999") == {}, process["Name:"]
    assert "Read-only file system" in site.compose("exec", "-T", "pgbouncer", "touch", "/planted", check=False).stderr
    assert not has_default_route(site, "pgbouncer")
    assert site.compose("exec", "-T", "pgbouncer", "ls", "/run/secrets").stdout.split() == ["app_password"]


@pytest.mark.usefixtures("pooled")
def test_pgbouncer_health_check(site):
    """PgBouncer is healthy only while Postgres is available through it."""
    assert site.is_healthy("pgbouncer")
    site.compose("stop", "db")
    assert not site.is_healthy("pgbouncer")
    site.compose("start", "db")
    wait_for(lambda: site.is_healthy("pgbouncer"), seconds=60, pause=1)
    wait_for(lambda: site.request(new_list(), headers=PAST_NGINX).status == 200)
