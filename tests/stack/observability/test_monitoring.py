"""Monitoring of a healthy server: complete metrics, no alerts, least privilege, and a runbook whose commands work."""

import json
import subprocess
import time

import pytest

from tests.support import runbook
from tests.support.helpers import wait_for
from tests.support.metric_names import APPLICATION, ONLY_AFTER_A_FAILURE, OTHERS, queries
from tests.support.stack.compose import ENVIRONMENT, docker
from tests.support.stack.monitoring import SERVICES, light_load

pytestmark = pytest.mark.timeout(600)
UIDS = {"prometheus": "65534", "alertmanager": "101", "nginx-exporter": "65534"}
UIDS |= dict.fromkeys(("postgres-exporter", "redis-exporter"), "999")
NETWORKS = {
    "prometheus": {"frontend", "monitoring", "alerting"},
    "alertmanager": {"alerting"},
    "nginx-exporter": {"frontend", "monitoring"},
    "postgres-exporter": {"backend", "monitoring"},
    "redis-exporter": {"backend", "monitoring"},
}


def test_every_target_is_up(monitoring, monitored):
    """Prometheus scrapes every target, and of the application only the active colour."""
    targets = monitoring.targets()
    assert {target["health"] for target in targets} == {"up"}, [target["lastError"] for target in targets]
    colours = [target["labels"]["colour"] for target in targets if target["labels"]["job"] == "web"]
    assert colours == [monitored.status()["active_colour"]]
    assert {target["labels"]["job"] for target in targets} == {*OTHERS, "web"}


def test_every_metric_exists(monitoring):
    """Every metric that rules, dashboards or the runbook use exists, except those that a failure creates."""
    assert APPLICATION.union(*OTHERS.values()) - monitoring.metric_names() - ONLY_AFTER_A_FAILURE == set()


@pytest.mark.guarantee("Each dashboard panel has data on a healthy server")
@pytest.mark.parametrize(("title", "query"), queries())
def test_every_panel_has_data(monitoring, title, query):
    """Each query of both dashboards returns data on a healthy server."""
    assert monitoring.query(query.replace("[5m]", "[1h]")), title


@pytest.mark.guarantee("A healthy server fires no alert")
def test_healthy_server_fires_no_alert(monitoring, monitored):
    """Under a light load, only the Watchdog is pending or firing."""
    began = time.time()
    with light_load(monitored) as load:
        wait_for(lambda: load.report.total > 300, seconds=60)
    assert load.report.failures == []
    seconds = int(time.time() - began) + 1
    assert monitoring.query(f'count_over_time(ALERTS{{alertname!="Watchdog"}}[{seconds}s])') == []
    assert monitoring.query('ALERTS{alertname="Watchdog", alertstate="firing"}')


@pytest.mark.usefixtures("monitoring")
def test_heartbeat_repeats(listener):
    """Alertmanager calls the heartbeat address repeatedly."""
    wait_for(lambda: len(listener.received_texts("/heartbeat")) >= 2, seconds=120, pause=1)
    assert "Watchdog" in listener.received_texts("/heartbeat")[-1]


@pytest.fixture(scope="module")
def containers(monitoring, monitored):
    """Return the output of `docker inspect` for each monitoring service."""
    assert monitoring
    ids = {service: monitored.compose("ps", "--quiet", service).stdout.strip() for service in SERVICES}
    return {service: json.loads(docker("inspect", found).stdout)[0] for service, found in ids.items()}


@pytest.mark.guarantee("Monitoring runs with least privilege and reads no key of Redis")
@pytest.mark.parametrize("service", SERVICES)
def test_least_privilege(containers, service):
    """The container has a user without privileges, no capability, a read-only root and a memory limit."""
    host = containers[service]["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["Memory"] <= 512 * 2**20
    processes = docker("top", containers[service]["Id"], "-eo", "pid,uid").stdout.splitlines()[1:]
    assert {line.split()[1] for line in processes} == {UIDS[service]}


def test_ports_on_loopback(containers):
    """Prometheus and Alertmanager publish their ports on 127.0.0.1; the exporters publish none."""
    published = {
        (service, port, binding["HostIp"])
        for service, container in containers.items()
        for port, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }
    assert published == {("prometheus", "9090/tcp", "127.0.0.1"), ("alertmanager", "9093/tcp", "127.0.0.1")}


@pytest.mark.guarantee("No monitoring service reaches both the internet and the data")
def test_networks(containers, monitored):
    """Prometheus is not in the network of Postgres and Redis; their exporters have no route to the internet."""
    networks = {
        service: {name.removeprefix(f"{monitored.name}_") for name in container["NetworkSettings"]["Networks"]}
        for service, container in containers.items()
    }
    assert networks == NETWORKS


@pytest.mark.usefixtures("monitoring")
@pytest.mark.parametrize("path", ["/metrics", "/metrics/nginx", "/metrics/backups", "/metrics/certificates"])
def test_metrics_are_not_public(monitored, path):
    """The edge answers 404 for metrics."""
    assert monitored.request(path).status == 404


@pytest.mark.guarantee("Monitoring runs with least privilege and reads no key of Redis")
@pytest.mark.usefixtures("monitoring")
@pytest.mark.parametrize("name", ["cache", "sessions"])
def test_redis_monitoring_user_reads_no_key(monitored, name):
    """The exporter's Redis user may run INFO, but read no key, no setting and no slow log."""
    passwords = json.loads((monitored.folder / "secrets/redis_passwords").read_text())
    password = passwords[f"redis://monitor@redis-{name}:6379"]
    script = 'REDISCLI_AUTH=$0 exec redis-cli --user monitor "$@"'

    def redis(*command):
        return monitored.compose("exec", "-T", f"redis-{name}", "bash", "-c", script, password, *command).stdout

    assert "redis_version" in redis("INFO")
    for command in (("GET", "a"), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("SLOWLOG", "GET"), ("FLUSHALL",)):
        assert "NOPERM" in redis(*command), command


@pytest.mark.guarantee("The runbook has a section for each alert, and its read-only commands work on a running server")
@pytest.mark.usefixtures("monitoring")
@pytest.mark.parametrize("command", [command for command in runbook.commands() if runbook.is_read_only(command)])
def test_runbook_command(monitored, command):
    """Each read-only command of the runbook works unchanged on a running server."""
    done = subprocess.run(
        ["bash", "-c", f"{runbook.sql_function()}\n{command}\n"],
        cwd=monitored.folder,
        env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    has_no_match = "grep" in command and done.returncode == 1
    assert done.returncode == 0 or has_no_match, done.stdout + done.stderr
    assert done.stderr == ""
    assert "NOPERM" not in done.stdout


def test_runbook_docker_options():
    """Docker accepts the options that the runbook uses."""
    for name, options in runbook.OPTIONS.items():
        shown = docker(*name.split(), "--help").stdout
        assert [option for option in options if option not in shown] == [], name
