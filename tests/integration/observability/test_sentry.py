"""Sentry's events leave the real server: from each worker, once, and before it ends; away, it costs nothing."""

import json
import time

import psutil
import pytest

from tests.support.helpers import free_port, wait_for
from tests.support.integration.client import ask, together
from tests.support.integration.receiver import Receiver
from tests.support.integration.servers import Gunicorn

CANARY = "hunter2-canary"
WORKERS = 2


@pytest.fixture
def sentry():
    """Take in Sentry's envelopes."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(folder, postgres_url, valkey):
    """Return a function that starts the failing application with its events sent to a port."""
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
    """Return the events among what came: an envelope is a header, then for each item its header and its payload."""
    found = []
    for path, body in list(sentry.got):
        assert path == "/api/7/envelope/"
        lines = [json.loads(line) for line in body.splitlines() if line]
        found += [
            payload for header, payload in zip(lines[1::2], lines[2::2], strict=True) if header["type"] == "event"
        ]
    return found


def fail(server, how="value_of_no_type"):
    """Send a request that fails, and return its id."""
    answer = ask(server.port, "POST", f"/fail/{how}?reset_token={CANARY}", {"password": CANARY})
    assert answer.status == 500
    return answer.json["request_id"]


@pytest.mark.parametrize("rate", ["0", "1"], ids=["untraced", "traced"])
def test_each_event_once(start, sentry, rate):
    """Each failing request of each worker is one event, with the id in the client's answer, and no secret in it."""
    server = start(sentry.port, SENTRY_TRACES_SAMPLE_RATE=rate)
    failed = [request_id for ids in together(8, lambda _: [fail(server) for _ in range(5)]) for request_id in ids]
    wait_for(lambda: len(events(sentry)) >= len(failed))
    assert server.stop() == 0
    assert sorted(event["tags"]["request_id"] for event in events(sentry)) == sorted(failed)
    assert {(event["release"], event["environment"]) for event in events(sentry)} == {("r1", "production")}
    assert CANARY not in str(sentry.got)


def test_every_worker_sends(start, sentry):
    """The client is made before the fork, and each worker sends through it: as many connections as workers."""
    server = start(sentry.port)
    master = psutil.Process(server.process.pid)
    sentry.open.clear()

    def sends(worker):
        return any(bool(peer.raddr) and peer.raddr.port == sentry.port for peer in worker.net_connections("tcp"))

    def senders():
        together(8, lambda _: fail(server))  # at once, so that one worker does not take them all
        return sum(map(sends, master.children()))

    wait_for(lambda: senders() == WORKERS, seconds=20)


def test_a_stop_sends_what_waits(start, sentry):
    """Events that wait when the server is told to stop are sent before it ends."""
    server = start(sentry.port)
    sentry.open.clear()
    failed = [fail(server) for _ in range(10)]
    assert sentry.got == []
    server.process.terminate()
    wait_for(lambda: "Shutting down" in server.log.read_text() or "Handling signal: term" in server.log.read_text())
    sentry.open.set()
    assert server.stop() == 0
    assert sorted(event["tags"]["request_id"] for event in events(sentry)) == sorted(failed)


@pytest.mark.parametrize("away", [True, False], ids=["away", "silent"])
def test_sentry_is_away(start, sentry, away):
    """A Sentry that is away or silent slows no request, takes no memory without end, and delays no stop for long."""
    sentry.open.clear()
    server = start(free_port() if away else sentry.port, WEB_CONCURRENCY="1")
    fail(server)
    worker = psutil.Process(server.process.pid).children()[0]
    for _ in range(150):
        fail(server)
    memory = worker.memory_info().rss
    times = [ask(server.port, "POST", "/fail/address", {"password": CANARY}).seconds for _ in range(200)]
    assert sorted(times)[len(times) // 2] < 0.1
    assert max(times) < 1
    assert worker.memory_info().rss - memory < 8 * 2**20
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10
