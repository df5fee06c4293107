"""Sentry events of the real server: each is sent once, before the worker stops; an unavailable Sentry costs nothing."""

import json
import time

import psutil
import pytest

from tests.support.helpers import free_port, wait_for
from tests.support.integration.client import send_request, together
from tests.support.integration.receiver import Receiver
from tests.support.integration.servers import Gunicorn

CANARY = "hunter2-canary"
WORKERS = 2


@pytest.fixture
def sentry():
    """A server that receives Sentry envelopes."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(folder, postgres_url, valkey):
    """Return a function that starts the failing application, which sends its events to a port."""
    started = []

    def run(port, **environ):
        settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey.url, "WEB_CONCURRENCY": str(WORKERS), **environ}
        dsn = f"http://key@127.0.0.1:{port}/7"
        site = "tests.support.integration.failing_site:app"
        started.append(Gunicorn(folder, site=site, SENTRY_DSN=dsn, RELEASE="r1", **settings))
        return started[-1].start()

    yield run
    for server in started:
        server.kill()


def events(sentry):
    """Return the received events. An envelope is a header, then a header and a payload for each item."""
    found = []
    for path, body in list(sentry.got):
        assert path == "/api/7/envelope/"
        lines = [json.loads(line) for line in body.splitlines() if line]
        found += [
            payload for header, payload in zip(lines[1::2], lines[2::2], strict=True) if header["type"] == "event"
        ]
    return found


def fail(server, how="invalid_value"):
    """Send a request that fails, and return its id."""
    response = send_request(server.port, "POST", f"/fail/{how}?reset_token={CANARY}", {"password": CANARY})
    assert response.status == 500
    return response.json["request_id"]


@pytest.mark.guarantee("Each unhandled exception is one Sentry event, with the request id and no secret")
@pytest.mark.parametrize("rate", ["0", "1"], ids=["untraced", "traced"])
def test_one_event_per_failure(start, sentry, rate):
    """Each failed request of each worker is one event, with the request id and no secret."""
    server = start(sentry.port, SENTRY_TRACES_SAMPLE_RATE=rate)
    failed = [request_id for ids in together(8, lambda _: [fail(server) for _ in range(5)]) for request_id in ids]
    wait_for(lambda: len(events(sentry)) >= len(failed))
    assert server.stop() == 0
    assert sorted(event["tags"]["request_id"] for event in events(sentry)) == sorted(failed)
    assert {(event["release"], event["environment"]) for event in events(sentry)} == {("r1", "production")}
    assert CANARY not in str(sentry.got)


def test_every_worker_sends(start, sentry):
    """The client is created before the fork; each worker sends over a connection of its own."""
    server = start(sentry.port)
    master = psutil.Process(server.process.pid)
    sentry.open.clear()

    def sends(worker):
        return any(bool(peer.raddr) and peer.raddr.port == sentry.port for peer in worker.net_connections("tcp"))

    def senders():
        together(8, lambda _: fail(server))  # concurrently, so that one worker does not serve them all
        return sum(map(sends, master.children()))

    wait_for(lambda: senders() == WORKERS, seconds=20)


@pytest.mark.guarantee("A stopping server sends its queued Sentry events and spans")
def test_stop_sends_queued_events(start, sentry):
    """Queued events are sent before the server stops."""
    server = start(sentry.port)
    sentry.open.clear()
    failed = [fail(server) for _ in range(10)]
    assert sentry.got == []
    server.process.terminate()
    wait_for(lambda: "Shutting down" in server.log.read_text() or "Handling signal: term" in server.log.read_text())
    sentry.open.set()
    assert server.stop() == 0
    assert sorted(event["tags"]["request_id"] for event in events(sentry)) == sorted(failed)


@pytest.mark.guarantee("An unavailable or hanging Sentry or trace collector slows no request")
@pytest.mark.parametrize("is_down", [True, False], ids=["unavailable", "hanging"])
def test_sentry_outage(start, sentry, is_down):
    """An unavailable or hanging Sentry slows no request, uses bounded memory, and delays a stop by seconds at most."""
    sentry.open.clear()
    server = start(free_port() if is_down else sentry.port, WEB_CONCURRENCY="1")
    fail(server)
    worker = psutil.Process(server.process.pid).children()[0]
    for _ in range(150):
        fail(server)
    memory = worker.memory_info().rss
    times = [send_request(server.port, "POST", "/fail/address", {"password": CANARY}).seconds for _ in range(200)]
    assert sorted(times)[len(times) // 2] < 0.1
    assert max(times) < 1
    assert worker.memory_info().rss - memory < 8 * 2**20
    started_at = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started_at < 10
