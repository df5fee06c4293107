"""A server with Prometheus and Alertmanager, shared by the tests of monitoring and of alerts."""

import contextlib

import pytest

from tests.support.helpers import free_port, wait_for
from tests.support.metric_names import OTHERS
from tests.support.stack.compose import docker
from tests.support.stack.listener import Listener
from tests.support.stack.monitoring import SERVICES, Monitoring, light_load, shorten_durations
from tests.support.stack.server import Server

ERROR_RATIO = "web:http_server_errors:ratio_rate5m"


@pytest.fixture(scope="package")
def monitored(tmp_path_factory, one):
    """Return a deployed server whose alerts need seconds instead of minutes; each test leaves it healthy."""
    ports = {f"{name}_PORT": free_port() for name in ("PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
    server = Server(tmp_path_factory.mktemp("server"), **ports)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(server.destroy)
        server.unpack(one)
        server.init()
        server.ops("deploy", one)
        shorten_durations(server.folder / "deploy/observability")
        yield server


@pytest.fixture(scope="package")
def listener(monitored, image):
    """Return the receiver of notifications and of the heartbeat."""
    listener = Listener(monitored, image)
    monitored.write_secret("webhook_url", listener.url("/hook"))
    monitored.write_secret("heartbeat_url", listener.url("/heartbeat"))
    yield listener
    listener.destroy()


@pytest.fixture(scope="package")
def monitoring(monitored, listener):
    """Start the profile without Grafana, whose image is not available everywhere, and wait until no alert is active."""
    with (monitored.folder / ".env").open("a") as file:
        file.write("COMPOSE_PROFILES=observability\n")
    monitored.compose("up", "--detach", "--no-deps", "--wait", *SERVICES)
    docker("network", "connect", f"{monitored.name}_alerting", listener.name)
    monitoring = Monitoring(monitored.settings["PROMETHEUS_PORT"], monitored.settings["ALERTMANAGER_PORT"])
    with light_load(monitored):
        wait_for(lambda: {job for job, _ in monitoring.healthy_targets()} == {*OTHERS, "web"}, seconds=60, pause=1)
        wait_for(lambda: monitoring.query(ERROR_RATIO) and not monitored.backup_errors(), seconds=60, pause=1)
        monitoring.await_no_alerts(180)
    return monitoring
