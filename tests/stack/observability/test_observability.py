"""What watches, on a real server: it sees all of it, is quiet while it is well, and rings when it is not."""

import contextlib
import json
import re
import subprocess
import time

import pytest

from tests.support import runbook
from tests.support.helpers import ROOT, free_port, wait_for
from tests.support.metric_names import APPLICATION, ONLY_WHEN_ILL, OTHERS, queries
from tests.support.stack.compose import ENVIRONMENT, docker
from tests.support.stack.listener import Listener
from tests.support.stack.load import Load, Request
from tests.support.stack.server import HOST
from tests.support.stack.watched import SERVICES, Watched, quicken

pytestmark = pytest.mark.timeout(600)
USERS = {"prometheus": "65534", "alertmanager": "101", "nginx-exporter": "65534"}
USERS |= dict.fromkeys(("postgres-exporter", "redis-exporter"), "999")


@pytest.fixture(scope="module")
def server(new_server, one):
    """Return a server that is watched, by Prometheus whose minutes are seconds; a test leaves it well."""
    ports = {f"{name}_PORT": free_port() for name in ("PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
    server = new_server(**ports)
    server.ops("deploy", one)
    quicken(server.folder / "deploy/observability")
    return server


@pytest.fixture(scope="module")
def listener(server, image):
    """Return who is told what rings, and expects a heartbeat."""
    listener = Listener(server, image)
    server.give_secret("webhook_url", listener.url("/hook"))
    server.give_secret("heartbeat_url", listener.url("/heartbeat"))
    yield listener
    listener.destroy()


@pytest.fixture(scope="module")
def watched(server, listener):
    """Switch the profile on, without Grafana, whose image is not to be had everywhere, and return what is seen."""
    with (server.folder / ".env").open("a") as file:
        file.write("COMPOSE_PROFILES=observability\n")
    server.compose("up", "--detach", "--no-deps", "--wait", *SERVICES)
    docker("network", "connect", f"{server.name}_alerts", listener.name)
    watched = Watched(server.settings["PROMETHEUS_PORT"], server.settings["ALERTMANAGER_PORT"])
    with Load(server.https, HOST, server.token(), keeping=2, fresh=1, rate=5):
        wait_for(lambda: len({job for job, _ in up(watched)}) == 9, seconds=60, pause=1)
        wait_for(
            lambda: watched.query("web:http_server_slow_requests:ratio_rate5m") and not server.backup_faults(),
            seconds=60,
            pause=1,
        )
        watched.await_quiet(180)
    return watched


def up(watched):
    """Return job and instance of each target that answers."""
    return {(labels["job"], labels["instance"]) for labels, value in watched.query("up") if value == 1}


def told(listener):
    """Return all that was told, as one text."""
    texts = (json.loads(body)["attachments"] for body in listener.heard("/hook"))
    return "\n".join(attachment["text"] for attachments in texts for attachment in attachments)


def await_told(listener, name):
    """Wait until an alert has been told, with the section of the runbook that says what to do."""
    wait_for(lambda: f"({name}, docs/runbook.md#{name.lower()})" in told(listener), seconds=60, pause=1)


def test_every_target_is_up(watched, server):
    """All that there is answers: each container of the colour that serves, and nothing of the other."""
    serving = server.status()["active_colour"]
    targets = watched.targets()
    assert {target["health"] for target in targets} == {"up"}, [target["lastError"] for target in targets]
    assert [each["labels"]["colour"] for each in targets if each["labels"]["job"] == "web"] == [serving]
    assert {target["labels"]["job"] for target in targets} == {*OTHERS, "web"}


def test_metrics_are_those_that_are_named(watched):
    """Whatever rules, dashboards and the runbook name is there, but for what only an ill server has."""
    assert APPLICATION.union(*OTHERS.values()) - watched.names() - ONLY_WHEN_ILL == set()


@pytest.mark.parametrize(("title", "query"), queries())
def test_every_panel_shows_something(watched, title, query):
    """Each query of both dashboards has a line to show on a server that is well."""
    assert watched.query(query.replace("[5m]", "[1h]")), title


def test_a_well_server_is_quiet(watched, server):
    """Under a little load, nothing rings and nothing is about to; the watchdog alone does."""
    began = time.time()
    with Load(server.https, HOST, server.token(), keeping=2, fresh=1, rate=5) as load:
        wait_for(lambda: load.report.total > 300, seconds=60)
    assert load.report.failures == []
    seconds = int(time.time() - began) + 1
    assert watched.query(f'count_over_time(ALERTS{{alertname!="Watchdog"}}[{seconds}s])') == []
    assert watched.query('ALERTS{alertname="Watchdog", alertstate="firing"}')


def test_the_heartbeat_is_heard(watched, listener):
    """Who expects a heartbeat is called again and again; when that ends, this server or what watches it is away."""
    assert watched
    wait_for(lambda: len(listener.heard("/heartbeat")) >= 2, seconds=120, pause=1)
    assert "Watchdog" in listener.heard("/heartbeat")[-1]


def test_another_colour_is_seen(watched, server):
    """A colour that is started is asked by its own name, and one that is stopped is no target and no alert."""
    idle = next(colour for colour in ("blue", "green") if colour != server.status()["active_colour"])
    server.compose("up", "--detach", "--no-deps", f"web-{idle}")
    wait_for(lambda: watched.query(f'up{{job="web", colour="{idle}"}} == 1'), seconds=60, pause=1)
    server.compose("stop", f"web-{idle}")
    wait_for(lambda: not watched.query(f'up{{job="web", colour="{idle}"}} == 1'), seconds=60, pause=1)
    time_over = 30  # WebInstanceDown's five minutes, and some to look
    with pytest.raises(AssertionError):
        watched.await_alert("WebInstanceDown", seconds=time_over)


@contextlib.contextmanager
def stopped(server, *services):
    """Take services away around the block."""
    server.compose("stop", "--timeout", "5", *services)
    try:
        yield
    finally:
        server.compose("up", "--detach", "--no-deps", "--wait", *services)


def test_the_cache_goes(watched, server, listener):
    """Without the cache it is a ticket: users are served."""
    with stopped(server, "redis-cache"), Load(server.https, HOST, server.token(), keeping=2, fresh=1, rate=5):
        assert watched.await_alert("RedisDown")["instance"] == "redis-cache"
        watched.await_alert("CircuitBreakerOpen", backend="redis", severity="ticket")
        await_told(listener, "RedisDown")
        assert [each for each in watched.alerts("firing") if each["severity"] == "page"] == []


def test_the_database_goes(watched, server, listener):
    """Without Postgres it rings for Postgres; the 503s and the breaker, which follow, are told nobody."""
    load = Load(server.https, HOST, server.token(), keeping=4, fresh=2, rate=10)
    with stopped(server, "db"), load:
        watched.await_alert("PostgresDown", severity="page")
        watched.await_alert("ErrorBudgetBurnFast", severity="page")
        watched.await_alert("CircuitBreakerOpen", backend="postgres", severity="page")
        await_told(listener, "PostgresDown")
        wait_for(lambda: {"ErrorBudgetBurnFast", "CircuitBreakerOpen"} <= watched.silenced(), seconds=30, pause=1)
    wait_for(lambda: "Well again: Postgres does not answer." in told(listener), seconds=60, pause=1)


def test_the_pool_is_full(watched, server, listener):
    """While a lock keeps every connection busy, it rings for the pool and for the threads."""
    token, [number] = server.token(), server.sql("SELECT min(id) FROM products")
    session = server.psql()
    session.stdin.write("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE;\n")
    session.stdin.flush()
    try:
        read = Request("GET", f"/api/products/{number}")
        with Load(server.https, HOST, token, keeping=10, fresh=0, rate=20, choose=lambda _turn: read):
            watched.await_alert("DatabasePoolExhausted")
            watched.await_alert("WorkerThreadsSaturated")
            await_told(listener, "DatabasePoolExhausted")
    finally:
        session.communicate(timeout=30)


def test_a_web_is_killed(watched, server, listener):
    """With its only container killed it rings within two minutes, and what follows is told nobody."""
    name = f"web-{server.status()['active_colour']}"
    try:
        server.compose("kill", name)
        watched.await_alert("NoHealthyUpstream", severity="page")
        await_told(listener, "NoHealthyUpstream")
    finally:
        server.compose("up", "--detach", "--no-deps", "--wait", name)


def test_the_wrong_colour_runs(watched, server, listener):
    """With the serving colour dead and the other one alive, users get no answer, and that rings."""
    serving = server.status()["active_colour"]
    dead, idle = f"web-{serving}", f"web-{'green' if serving == 'blue' else 'blue'}"
    wait_for(lambda: not {"NoHealthyUpstream", "ActiveColourDown"} & watched.ringing(), seconds=60, pause=1)
    try:
        server.compose("up", "--detach", "--no-deps", "--wait", idle)
        server.compose("kill", dead)
        watched.await_alert("ActiveColourDown", severity="page")
        assert "NoHealthyUpstream" not in watched.ringing()
        await_told(listener, "ActiveColourDown")
    finally:
        server.compose("up", "--detach", "--no-deps", "--wait", dead)
        server.compose("stop", idle)


def test_a_web_hangs(watched, server):
    """One that runs and does not answer is noticed like one that is dead."""
    name = f"web-{server.status()['active_colour']}"
    try:
        server.compose("pause", name)
        watched.await_alert("NoHealthyUpstream", severity="page")
    finally:
        server.compose("unpause", name)


def look(server, address):
    """Return what an exporter answers within the time that Prometheus gives it."""
    timeout = re.search(r"(?m)^  scrape_timeout: (\d+)s", (ROOT / "deploy/observability/prometheus.yml").read_text())[1]
    ask = ("nginx:1.30", "curl", "--silent", f"--max-time={timeout}", f"http://{address}")
    return docker("run", "--rm", f"--network={server.name}_watching", *ask).stdout


def test_the_data_hangs(watched, server, listener):
    """A database and a cache that run and do not answer are told by the application, and by what else asks them.

    Redis' exporter gives up in time, and says so; that of Postgres waits with it, and is away itself.
    """
    data, load = ("db", "redis-cache"), Load(server.https, HOST, server.token(), keeping=4, fresh=2, rate=10)
    server.compose("pause", *data)
    try:
        with load:
            assert "redis_up 0" in look(server, "redis-exporter:9121/scrape?target=redis://redis-cache:6379")
            watched.await_alert("CircuitBreakerOpen", backend="postgres", severity="page")
            watched.await_alert("CircuitBreakerOpen", backend="redis", severity="ticket")
            watched.await_alert("TargetDown", instance="postgres-exporter:9187")
            wait_for(lambda: "stopped asking postgres" in told(listener), seconds=60, pause=1)
    finally:
        server.compose("unpause", *data)


@contextlib.contextmanager
def written(path, change):
    """Let a file have another text around the block."""
    before = path.read_text()
    path.write_text(change(before))
    try:
        yield
    finally:
        path.write_text(before)


def test_a_certificate_ends(watched, server, listener):
    """A certificate with two days left is a page; that it could not be renewed is not told besides."""
    soon = f"\\g<1> {int(time.time()) + 2 * 86400}"

    def ill(text):
        text = re.sub(r"(?m)^(certificate_not_after_timestamp_seconds) .*", soon, text)
        return re.sub(r"(?m)^(certificate_renewal_failing) .*", r"\1 1", text)

    with written(server.folder / "certificates/certificates.prom", ill):
        watched.await_alert("CertificateExpiringSoon", severity="page")
        watched.await_alert("CertificateRenewalFailed", seconds=120)
        await_told(listener, "CertificateExpiringSoon")
        wait_for(lambda: "CertificateRenewalFailed" in watched.silenced(), seconds=30, pause=1)


def test_a_backup_ages(watched, server, listener):
    """A dump that is older than a day and fails is told, by the job's name."""
    day_ago, now = int(time.time()) - 27 * 3600, int(time.time())
    name = 'backup_last_success_timestamp_seconds{job="dump"}'

    def aged(text):
        failing = f'backup_failing_since_timestamp_seconds{{job="dump"}} {now - 60}\n'
        return re.sub(rf"(?m)^({re.escape(name)}) .*", rf"\g<1> {day_ago}", text) + failing

    with stopped(server, "backup"), written(server.folder / "state/backups/backups.prom", aged):
        assert watched.await_alert("BackupOverdue")["job"] == "dump"
        assert watched.await_alert("BackupFailed", seconds=120)["job"] == "dump"
        await_told(listener, "BackupFailed")


def test_an_exporter_goes(watched, server, listener):
    """An exporter that is gone is told: what it knew rings no more."""
    wait_for(lambda: "TargetDown" not in watched.ringing(), seconds=60, pause=1)
    before = len(told(listener))
    with stopped(server, "postgres-exporter"):
        watched.await_alert("TargetDown", instance="postgres-exporter:9187")
        line = "\nNothing is known of postgres (postgres-exporter:9187)"  # and not that it is well again
        wait_for(lambda: line in f"\n{told(listener)[before:]}", seconds=60, pause=1)


def test_who_is_told_is_away(watched, server, listener):
    """What cannot be delivered rings too, can be seen in Prometheus, and ends the heartbeat."""
    docker("stop", "--time", "1", listener.name)
    try:
        with stopped(server, "redis-exporter"):
            assert watched.await_alert("AlertNotificationsFailing", seconds=180)["severity"] == "ticket"
            wait_for(
                lambda: not watched.query('ALERTS{alertname="Watchdog", alertstate="firing"}'), seconds=60, pause=1
            )
    finally:
        docker("start", listener.name)


@pytest.fixture(scope="module")
def inspected(watched, server):
    """Return what `docker inspect` tells of each container."""
    assert watched
    ids = {service: server.compose("ps", "--quiet", service).stdout.strip() for service in SERVICES}
    return {service: json.loads(docker("inspect", found).stdout)[0] for service, found in ids.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_what_watches_is_confined(inspected, service):
    """Its processes have no privilege and can gain none, write to no disk of their own, and are bounded."""
    host = inspected[service]["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["Memory"] <= 512 * 2**20
    top = docker("top", inspected[service]["Id"], "-eo", "pid,uid").stdout.splitlines()[1:]
    assert {line.split()[1] for line in top} == {USERS[service]}


def test_ports_are_this_machines_own(inspected):
    """Prometheus and Alertmanager are to be had on 127.0.0.1, and the rest nowhere."""
    published = {
        (service, inside, binding["HostIp"])
        for service, container in inspected.items()
        for inside, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }
    assert published == {("prometheus", "9090/tcp", "127.0.0.1"), ("alertmanager", "9093/tcp", "127.0.0.1")}


def test_what_has_a_way_out_does_not_reach_the_data(inspected, server):
    """Prometheus is not in the network of Postgres and Redis; the exporters that are have no other way out."""
    networks = {
        service: {name.removeprefix(f"{server.name}_") for name in container["NetworkSettings"]["Networks"]}
        for service, container in inspected.items()
    }
    assert networks == {
        "prometheus": {"outside", "watching", "alerts"},
        "alertmanager": {"alerts"},
        "nginx-exporter": {"outside", "watching"},
        "postgres-exporter": {"inside", "watching"},
        "redis-exporter": {"inside", "watching"},
    }


def test_users_do_not_reach_it(watched, server):
    """The edge hands out nothing of it."""
    assert watched
    for path in ("/metrics", "/metrics/nginx", "/metrics/backups", "/metrics/certificates"):
        assert server.ask(path).status == 404, path


def test_monitoring_of_redis_reads_no_key(watched, server):
    """The exporter's user gets what Redis says of itself, and no key, no setting and no other's command."""
    assert watched
    script = 'REDISCLI_AUTH=$0 exec redis-cli --user monitor "$@"'
    passwords = json.loads((server.folder / "secrets/redis_passwords").read_text())
    for name in ("cache", "sessions"):
        text = passwords[f"redis://monitor@redis-{name}:6379"]

        def ask(*words, name=name, text=text):
            return server.compose("exec", "-T", f"redis-{name}", "bash", "-c", script, text, *words).stdout

        assert "redis_version" in ask("INFO")
        for words in (("GET", "a"), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("SLOWLOG", "GET"), ("FLUSHALL",)):
            assert "NOPERM" in ask(*words), words


@pytest.mark.parametrize("command", [command for command in runbook.commands() if runbook.is_read_only(command)])
def test_what_the_runbook_says_can_be_typed(watched, server, command):
    """Each command of the runbook that only looks works on a running server as it stands there."""
    assert watched
    text = f"{runbook.sql_function()}\n{command}\n"
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=server.folder,
        env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    nothing_found = "grep" in command and done.returncode == 1
    assert done.returncode == 0 or nothing_found, done.stdout + done.stderr
    assert done.stderr == ""
    assert "NOPERM" not in done.stdout


def test_docker_has_the_options_of_the_runbook():
    """The options that the runbook gives Docker are ones of this Docker."""
    for name, options in runbook.OPTIONS.items():
        shown = docker(*name.split(), "--help").stdout
        assert [option for option in options if option not in shown] == [], name
