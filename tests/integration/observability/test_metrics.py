"""What a real server says at /metrics: a pool at its limit, backends away, workers that end, a queue of connections."""

import contextlib
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from app.observability import metric_files
from tests.integration.api.test_concurrency import locked
from tests.support.helpers import wait_for
from tests.support.integration.client import ask
from tests.support.integration.scrape import Scrape, files, folder, scrape, workers
from tests.support.integration.servers import Valkey

WORKERS, THREADS = 2, 2
REQUESTS = "http_server_request_duration_seconds_count"


@pytest.fixture(scope="module")
def start(serve, postgres_url, valkey):
    """Start a server with two workers of two threads each."""
    environ = {"WEB_CONCURRENCY": str(WORKERS), "GUNICORN_THREADS": str(THREADS), "TRUSTED_PROXIES": "1"}
    return lambda: serve(postgres_url, valkey.url, DB_TIMEOUT="10", RELEASE="r1", **environ)


@pytest.fixture(scope="module")
def server(start):
    """One whose workers live."""
    return start()


@pytest.fixture
def mortal(start):
    """One whose workers come and go; at first all are there, as one that is being made hears no signal yet."""
    server = start()
    wait_for(lambda: scrape(server).sum("gunicorn_workers") == WORKERS)
    return server


def test_who_is_told(server):
    """Prometheus is, by the container's address; who comes through a proxy is not, and no other path is open to all."""
    assert scrape(server).each("release_info") == {("production", "r1"): 1}
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert ask(server.port, "GET", "/metrics", headers=forwarded).status == 404
    assert ask(server.port, "GET", "/health", headers={"Host": "10.0.0.7:8000"}).status == 400


def test_every_spelling_is_refused_through_a_proxy(server):
    """However the path is written, what a proxy forwards gets no metrics."""
    for path in ("/metrics", "//metrics", "/%6detrics", "/metrics?x=1", "/x/../metrics", "/metrics/"):
        answer = ask(server.port, "GET", path, headers={"X-Forwarded-For": "203.0.113.9"})
        assert (answer.status, b"http_server_request_duration" in answer.body) in {
            (404, False),
            (308, False),
        }, path


def test_nobody_notices(server):
    """Asking is neither counted nor logged."""
    before = scrape(server).each(REQUESTS)
    assert scrape(server).each(REQUESTS) == before
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert not [line for line in lines if (line.get("path"), line.get("status")) == ("/metrics", 200)]


def test_off(serve, postgres_url, valkey):
    """METRICS=off: there is no such page, and no folder is made."""
    server = serve(postgres_url, valkey.url, METRICS="off")
    assert ask(server.port, "GET", "/metrics").status == 404
    with pytest.raises(ValueError, match="not enough values"):
        folder(server)


def test_workers_are_added_up(server):
    """Whichever worker answers, it says what all of them counted."""
    for _ in range(40):
        ask(server.port, "GET", "/health")
    asked = {scrape(server).sum(REQUESTS, http_route="/health") for _ in range(10)}
    assert len(asked) == 1
    assert asked.pop() >= 40


def test_pool_at_its_limit(server, postgres_url):
    """While every connection is in use the gauge is at the limit, and idle ones are left when all are back."""
    limit = WORKERS * THREADS
    everyone = [f"/api/products/{number}" for number in range(1, limit + 3)]
    wait_for(lambda: scrape(server).sum("db_client_connection_max") == limit)
    with ThreadPoolExecutor(len(everyone)) as pool:
        with locked(postgres_url, "LOCK products IN ACCESS EXCLUSIVE MODE"):
            waiting = [pool.submit(ask, server.port, "GET", path) for path in everyone]
            wait_for(lambda: in_use(server) == limit)
        assert {future.result().status for future in waiting} == {404}
    seen = scrape(server)
    assert seen.sum("db_client_connection_count", state="used") == seen.sum("http_server_active_requests") == 0
    assert seen.sum("db_client_connection_count", state="idle") == limit
    assert seen.sum("db_client_connection_wait_time_seconds_count") >= len(everyone)


def in_use(server):
    """Return how many connections are in use, though no thread is free to say so: from the files."""
    return Scrape(metric_files.collect(folder(server))).sum("db_client_connection_count", state="used")


def test_redis_away(serve, postgres_url, folder):
    """While Redis is away its errors are counted and the breaker is open; with its first answer it is closed."""
    cache = Valkey(folder).start()
    server = serve(postgres_url, cache.url)
    cache.kill()
    for _ in range(6):
        assert ask(server.port, "GET", "/api/products").status == 200
    seen = scrape(server)
    assert seen.sum("backend_errors_total", backend="redis", error_type="unavailable") >= 3
    assert seen.sum("backend_errors_total", backend="redis", error_type="circuit_open") >= 1
    assert seen.sum("circuit_breaker_open", backend="redis") == 1
    assert seen.sum("cache_requests_total", outcome="bypass") == 6
    cache.start()
    try:
        wait_for(lambda: ask(server.port, "GET", "/api/products") and not scrape(server).sum("circuit_breaker_open"))
    finally:
        cache.kill()


def test_postgres_silent(serve, own_postgres, valkey):
    """A database that falls silent is counted so, and what is not asked of it then."""
    server = serve(own_postgres.url("migrated"), valkey.url, DB_TIMEOUT="0.2")
    assert ask(server.port, "GET", "/api/products/1").status == 404
    with own_postgres.frozen():
        assert {ask(server.port, "GET", "/api/products/1").status for _ in range(4)} == {503}
        seen = scrape(server)
    kinds = seen.each("backend_errors_total")
    assert kinds["postgres", "timeout"] + kinds["postgres", "unavailable"] >= 1
    assert kinds["postgres", "circuit_open"] >= 1
    assert seen.sum("circuit_breaker_open", backend="postgres") == 1
    assert seen.sum(REQUESTS, http_response_status_code="503") == 4


def exits(server):
    """Return how many workers have ended though nobody stopped the server."""
    return scrape(server).sum("gunicorn_worker_exits_total")


def test_worker_exits(mortal):
    """A worker that dies is counted, and one that is there in its place; the files are those of its slot."""
    before = files(mortal)
    for number in range(1, 4):
        os.kill(workers(mortal)[0].pid, signal.SIGKILL)
        wait_for(lambda number=number: exits(mortal) == number)
    wait_for(lambda: scrape(mortal).sum("gunicorn_workers") == WORKERS)
    assert files(mortal) == before


def test_reload_is_no_exit(mortal):
    """Workers that make room for others, and those that are wanted no more, have not ended by themselves."""
    old = {worker.pid for worker in workers(mortal)}
    mortal.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not old & {worker.pid for worker in workers(mortal)})
    mortal.process.send_signal(signal.SIGTTIN)
    wait_for(lambda: scrape(mortal).sum("gunicorn_workers_configured") == WORKERS + 1)
    wait_for(lambda: scrape(mortal).sum("gunicorn_workers") == WORKERS + 1)
    mortal.process.send_signal(signal.SIGTTOU)
    wait_for(lambda: scrape(mortal).sum("gunicorn_workers") == WORKERS)
    assert scrape(mortal).sum("gunicorn_workers_configured") == WORKERS
    assert exits(mortal) == 0


def test_nothing_is_left_behind(mortal, serve, postgres_url, valkey):
    """A server that stops takes its folder along; one that was killed leaves it to the next that starts."""
    stopped = folder(mortal)
    assert mortal.stop() == 0
    assert not stopped.exists()
    killed = serve(postgres_url, valkey.url)
    left = folder(killed)
    killed.kill()
    assert left.exists()
    other = serve(postgres_url, valkey.url)
    assert not left.exists()
    assert folder(other).exists()


def test_backlog(serve, postgres_url, valkey):
    """Connections that come while nobody accepts any are the backlog of the first answer after that."""
    server = serve(postgres_url, valkey.url, GUNICORN_THREADS="1")
    (worker,) = workers(server)
    worker.suspend()
    try:
        with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as open_ones:
            first = pool.submit(scrape, server)
            wait_for(lambda: connections(server) == 1)
            for _ in range(5):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            worker.resume()
            assert first.result().sum("gunicorn_backlog") == 5
    finally:
        worker.resume()


def connections(server):
    """Count the connections to a server that were made and that nobody has accepted."""
    everyone = [c for c in psutil.net_connections("tcp4") if c.laddr and c.laddr.port == server.port]
    return sum(c.status == psutil.CONN_ESTABLISHED for c in everyone)
