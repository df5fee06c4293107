"""Fault scenarios: each outage fires its alert, notifies with a link to the runbook, and inhibits its consequences."""

import contextlib
import re
import time

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.stack.compose import docker
from tests.support.stack.load import Load, Request
from tests.support.stack.monitoring import await_notification, light_load, notifications
from tests.support.stack.server import HOST

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.guarantee(
        "Each outage fires its alert, sends a link to the runbook section, and inhibits the alerts for its consequences"
    ),
]
OTHER = {"blue": "green", "green": "blue"}


@contextlib.contextmanager
def stopped(server, *services):
    """Stop services during the block."""
    server.compose("stop", "--timeout", "5", *services)
    try:
        yield
    finally:
        server.compose("up", "--detach", "--no-deps", "--wait", *services)


@contextlib.contextmanager
def paused(server, *services):
    """Freeze services during the block: they run, but do not respond."""
    server.compose("pause", *services)
    try:
        yield
    finally:
        server.compose("unpause", *services)


@contextlib.contextmanager
def killed(server, service):
    """Kill a service, and start it again after the block."""
    try:
        server.compose("kill", service)
        yield
    finally:
        server.compose("up", "--detach", "--no-deps", "--wait", service)


@contextlib.contextmanager
def edited(path, change):
    """Change a file's text during the block."""
    before = path.read_text()
    path.write_text(change(before))
    try:
        yield
    finally:
        path.write_text(before)


def active_colour(server):
    """Return the service that receives traffic."""
    return f"web-{server.status()['active_colour']}"


def test_idle_colour_is_scraped_without_alerts(monitoring, monitored):
    """Prometheus scrapes the idle colour while it runs; stopping it fires no alert."""
    idle = OTHER[monitored.status()["active_colour"]]
    is_up = f'up{{job="web", colour="{idle}"}} == 1'
    monitored.compose("up", "--detach", "--no-deps", f"web-{idle}")
    wait_for(lambda: monitoring.query(is_up), seconds=60, pause=1)
    monitored.compose("stop", f"web-{idle}")
    wait_for(lambda: not monitoring.query(is_up), seconds=60, pause=1)
    with pytest.raises(AssertionError):
        monitoring.await_alert("WebInstanceDown", seconds=30)  # longer than its shortened `for`


def test_cache_unavailable(monitoring, monitored, listener):
    """Without the cache there are tickets but no page: users are served."""
    with stopped(monitored, "redis-cache"), light_load(monitored):
        assert monitoring.await_alert("RedisDown")["instance"] == "redis-cache"
        monitoring.await_alert("CircuitBreakerOpen", backend="redis", severity="ticket")
        await_notification(listener, "RedisDown")
        assert [alert for alert in monitoring.alerts("firing") if alert["severity"] == "page"] == []


def test_postgres_unavailable(monitoring, monitored, listener):
    """Without Postgres one page is sent; it inhibits the alerts for errors and for the circuit breaker."""
    consequences = {"ErrorBudgetBurnFast", "CircuitBreakerOpen"}
    load = Load(monitored.https, HOST, monitored.token(), keep_alive=4, fresh=2, rate=10)
    with stopped(monitored, "db"), load:
        monitoring.await_alert("PostgresDown", severity="page")
        monitoring.await_alert("ErrorBudgetBurnFast", severity="page")
        monitoring.await_alert("CircuitBreakerOpen", backend="postgres", severity="page")
        await_notification(listener, "PostgresDown")
        wait_for(lambda: consequences <= monitoring.inhibited(), seconds=30, pause=1)
    wait_for(lambda: "Resolved: Postgres is down." in notifications(listener), seconds=60, pause=1)


def test_connection_pool_exhausted(monitoring, monitored, listener):
    """While a lock holds every connection, the pool's and the threads' alerts fire."""
    token, [number] = monitored.token(), monitored.sql("SELECT min(id) FROM products")
    session = monitored.psql()
    session.stdin.write("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE;\n")
    session.stdin.flush()
    try:
        read = Request("GET", f"/api/products/{number}")
        with Load(monitored.https, HOST, token, keep_alive=10, fresh=0, rate=20, choose=lambda _turn: read):
            monitoring.await_alert("DatabasePoolExhausted")
            monitoring.await_alert("WorkerThreadsSaturated")
            await_notification(listener, "DatabasePoolExhausted")
    finally:
        session.communicate(timeout=30)


def test_web_killed(monitoring, monitored, listener):
    """Killing the only application container pages."""
    with killed(monitored, active_colour(monitored)):
        monitoring.await_alert("NoHealthyUpstream", severity="page")
        await_notification(listener, "NoHealthyUpstream")


def test_only_idle_colour_runs(monitoring, monitored, listener):
    """With the active colour down and the idle colour up, users get no response, and an alert pages."""
    active = active_colour(monitored)
    idle = f"web-{OTHER[active.removeprefix('web-')]}"
    wait_for(lambda: not {"NoHealthyUpstream", "ActiveColourDown"} & monitoring.firing(), seconds=60, pause=1)
    try:
        monitored.compose("up", "--detach", "--no-deps", "--wait", idle)
        with killed(monitored, active):
            monitoring.await_alert("ActiveColourDown", severity="page")
            assert "NoHealthyUpstream" not in monitoring.firing()
            await_notification(listener, "ActiveColourDown")
    finally:
        monitored.compose("stop", idle)


def test_web_hangs(monitoring, monitored):
    """An application container that runs but does not respond pages like one that is down."""
    with paused(monitored, active_colour(monitored)):
        monitoring.await_alert("NoHealthyUpstream", severity="page")


def scrape(server, address):
    """Return what an exporter responds within Prometheus' scrape timeout."""
    timeout = re.search(r"(?m)^  scrape_timeout: (\d+)s", (ROOT / "deploy/observability/prometheus.yml").read_text())[1]
    curl = ("nginx:1.30", "curl", "--silent", f"--max-time={timeout}", f"http://{address}")
    return docker("run", "--rm", f"--network={server.name}_monitoring", *curl).stdout


def test_backends_hang(monitoring, monitored, listener):
    """Postgres and the cache run but do not respond: the circuit breakers and the targets fire alerts.

    Redis' exporter times out and reports it; that of Postgres hangs with it and is down itself.
    """
    load = Load(monitored.https, HOST, monitored.token(), keep_alive=4, fresh=2, rate=10)
    with paused(monitored, "db", "redis-cache"), load:
        assert "redis_up 0" in scrape(monitored, "redis-exporter:9121/scrape?target=redis://redis-cache:6379")
        monitoring.await_alert("CircuitBreakerOpen", backend="postgres", severity="page")
        monitoring.await_alert("CircuitBreakerOpen", backend="redis", severity="ticket")
        monitoring.await_alert("TargetDown", instance="postgres-exporter:9187")
        wait_for(lambda: "circuit breaker for postgres is open" in notifications(listener), seconds=60, pause=1)


def test_certificate_expires(monitoring, monitored, listener):
    """A certificate with two days left pages, and inhibits the ticket for its failed renewal."""
    soon = f"\\g<1> {int(time.time()) + 2 * 86400}"

    def change(text):
        text = re.sub(r"(?m)^(certificate_not_after_timestamp_seconds) .*", soon, text)
        return re.sub(r"(?m)^(certificate_renewal_failing) .*", r"\1 1", text)

    with edited(monitored.folder / "certificates/certificates.prom", change):
        monitoring.await_alert("CertificateExpiringSoon", severity="page")
        monitoring.await_alert("CertificateRenewalFailed", seconds=120)
        await_notification(listener, "CertificateExpiringSoon")
        wait_for(lambda: "CertificateRenewalFailed" in monitoring.inhibited(), seconds=30, pause=1)


def test_backup_overdue(monitoring, monitored, listener):
    """A dump that is older than a day and fails fires both alerts with the job's name."""
    now = int(time.time())
    name = 'backup_last_success_timestamp_seconds{job="dump"}'

    def change(text):
        failing = f'backup_failing_since_timestamp_seconds{{job="dump"}} {now - 60}\n'
        return re.sub(rf"(?m)^({re.escape(name)}) .*", rf"\g<1> {now - 27 * 3600}", text) + failing

    with stopped(monitored, "backup"), edited(monitored.folder / "state/backups/backups.prom", change):
        assert monitoring.await_alert("BackupOverdue")["job"] == "dump"
        assert monitoring.await_alert("BackupFailed", seconds=120)["job"] == "dump"
        await_notification(listener, "BackupFailed")


def test_exporter_down(monitoring, monitored, listener):
    """A stopped exporter fires an alert, as alerts on its metrics cannot fire."""
    wait_for(lambda: "TargetDown" not in monitoring.firing(), seconds=60, pause=1)
    before = len(notifications(listener))
    line = "\nPrometheus cannot scrape postgres (postgres-exporter:9187)"  # at the line's start: not resolved
    with stopped(monitored, "postgres-exporter"):
        monitoring.await_alert("TargetDown", instance="postgres-exporter:9187")
        wait_for(lambda: line in f"\n{notifications(listener)[before:]}", seconds=60, pause=1)


def test_notifications_rejected(monitoring, monitored, listener):
    """Failed notifications fire an alert in Prometheus and stop the heartbeat."""
    watchdog = 'ALERTS{alertname="Watchdog", alertstate="firing"}'
    docker("stop", "--time", "1", listener.name)
    try:
        with stopped(monitored, "redis-exporter"):
            assert monitoring.await_alert("AlertNotificationsFailing", seconds=180)["severity"] == "ticket"
            wait_for(lambda: not monitoring.query(watchdog), seconds=60, pause=1)
    finally:
        docker("start", listener.name)
