"""/metrics of a real server: an exhausted pool, unavailable backends, worker exits, a connection backlog."""

import contextlib
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from app.observability import multiprocess_metrics
from tests.integration.api.test_concurrency import locked
from tests.support.helpers import wait_for
from tests.support.integration.client import send_request
from tests.support.integration.scrape import Scrape, directory, files, scrape, workers
from tests.support.integration.servers import Valkey

WORKERS, THREADS = 2, 2
REQUESTS = "http_server_request_duration_seconds_count"


@pytest.fixture(scope="module")
def start(serve, postgres_url, valkey):
    """Return a function that starts a server with two workers of two threads each."""
    environ = {"WEB_CONCURRENCY": str(WORKERS), "GUNICORN_THREADS": str(THREADS), "TRUSTED_PROXIES": "1"}
    return lambda: serve(postgres_url, valkey.url, DB_TIMEOUT="10", RELEASE="r1", **environ)


@pytest.fixture(scope="module")
def server(start):
    """A server for tests that kill no worker."""
    return start()


@pytest.fixture
def disposable_server(start):
    """A server for tests that kill workers; all have started, because a starting worker ignores signals."""
    server = start()
    wait_for(lambda: scrape(server).sum("gunicorn_workers") == WORKERS)
    return server


def test_access(server):
    """Only direct requests get metrics, for any host; other paths require a trusted host."""
    assert scrape(server).each("release_info") == {("production", "r1"): 1}
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert send_request(server.port, "GET", "/metrics", headers=forwarded).status == 404
    assert send_request(server.port, "GET", "/health", headers={"Host": "10.0.0.7:8000"}).status == 400


def test_forwarded_path_variants(server):
    """No spelling of the path gives metrics to a forwarded request."""
    for path in ("/metrics", "//metrics", "/%6detrics", "/metrics?x=1", "/x/../metrics", "/metrics/"):
        response = send_request(server.port, "GET", path, headers={"X-Forwarded-For": "203.0.113.9"})
        assert (response.status, b"http_server_request_duration" in response.body) in {
            (404, False),
            (308, False),
        }, path


def test_scrape_is_not_recorded(server):
    """A scrape is neither counted nor logged."""
    before = scrape(server).each(REQUESTS)
    assert scrape(server).each(REQUESTS) == before
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert not [line for line in lines if (line.get("path"), line.get("status")) == ("/metrics", 200)]


def test_metrics_off(serve, postgres_url, valkey):
    """METRICS=off disables the endpoint, and creates no metrics directory."""
    server = serve(postgres_url, valkey.url, METRICS="off")
    assert send_request(server.port, "GET", "/metrics").status == 404
    with pytest.raises(ValueError, match="not enough values"):
        directory(server)


def test_sum_over_workers(server):
    """Every worker reports the sum over all workers."""
    for _ in range(40):
        send_request(server.port, "GET", "/health")
    sums = {scrape(server).sum(REQUESTS, http_route="/health") for _ in range(10)}
    assert len(sums) == 1
    assert sums.pop() >= 40


def test_exhausted_pool(server, postgres_url):
    """The connection gauges follow the pool from exhausted to idle."""
    limit = WORKERS * THREADS
    paths = [f"/api/products/{number}" for number in range(1, limit + 3)]
    wait_for(lambda: scrape(server).sum("db_client_connection_max") == limit)
    with ThreadPoolExecutor(len(paths)) as pool:
        with locked(postgres_url, "LOCK products IN ACCESS EXCLUSIVE MODE"):
            waiting = [pool.submit(send_request, server.port, "GET", path) for path in paths]
            wait_for(lambda: count_used(server) == limit)
        assert {future.result().status for future in waiting} == {404}
    wait_for(lambda: scrape(server).sum("http_server_active_requests") == 0)  # a client may be ahead of its worker
    seen = scrape(server)
    assert seen.sum("db_client_connection_count", state="used") == 0
    assert seen.sum("db_client_connection_count", state="idle") == limit
    assert seen.sum("db_client_connection_wait_time_seconds_count") >= len(paths)


def count_used(server):
    """Return the number of used connections from the files, because no thread is free for a scrape."""
    return Scrape(multiprocess_metrics.collect(directory(server))).sum("db_client_connection_count", state="used")


def test_redis_unavailable(serve, postgres_url, folder):
    """Redis errors are counted and open the circuit breaker; the first success closes it."""
    cache = Valkey(folder).start()
    server = serve(postgres_url, cache.url)
    cache.kill()
    for _ in range(6):
        assert send_request(server.port, "GET", "/api/products").status == 200
    seen = scrape(server)
    assert seen.sum("backend_errors_total", backend="redis", error_type="unavailable") >= 3
    assert seen.sum("backend_errors_total", backend="redis", error_type="circuit_open") >= 1
    assert seen.sum("circuit_breaker_open", backend="redis") == 1
    assert seen.sum("cache_requests_total", outcome="bypass") == 6
    cache.start()
    try:
        wait_for(
            lambda: send_request(server.port, "GET", "/api/products") and not scrape(server).sum("circuit_breaker_open")
        )
    finally:
        cache.kill()


def test_postgres_timeout(serve, own_postgres, valkey):
    """Database timeouts are counted, and so are the calls that the open circuit breaker rejects."""
    server = serve(own_postgres.url("migrated"), valkey.url, DB_TIMEOUT="0.2")
    assert send_request(server.port, "GET", "/api/products/1").status == 404
    with own_postgres.frozen():
        assert {send_request(server.port, "GET", "/api/products/1").status for _ in range(4)} == {503}
        seen = scrape(server)
    errors = seen.each("backend_errors_total")
    assert errors["postgres", "timeout"] + errors["postgres", "unavailable"] >= 1
    assert errors["postgres", "circuit_open"] >= 1
    assert seen.sum("circuit_breaker_open", backend="postgres") == 1
    assert seen.sum(REQUESTS, http_response_status_code="503") == 4


def count_exits(server):
    """Return the number of unexpected worker exits."""
    return scrape(server).sum("gunicorn_worker_exits_total")


def test_worker_exits(disposable_server):
    """A killed worker is counted, and its successor uses the same files."""
    before = files(disposable_server)
    for number in range(1, 4):
        os.kill(workers(disposable_server)[0].pid, signal.SIGKILL)
        wait_for(lambda number=number: count_exits(disposable_server) == number)
    wait_for(lambda: scrape(disposable_server).sum("gunicorn_workers") == WORKERS)
    assert files(disposable_server) == before


def test_reload(disposable_server):
    """Reloading the workers and changing their number are not unexpected exits."""
    old = {worker.pid for worker in workers(disposable_server)}
    disposable_server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not old & {worker.pid for worker in workers(disposable_server)})
    disposable_server.process.send_signal(signal.SIGTTIN)
    wait_for(lambda: scrape(disposable_server).sum("gunicorn_workers_configured") == WORKERS + 1)
    wait_for(lambda: scrape(disposable_server).sum("gunicorn_workers") == WORKERS + 1)
    disposable_server.process.send_signal(signal.SIGTTOU)
    wait_for(lambda: scrape(disposable_server).sum("gunicorn_workers") == WORKERS)
    assert scrape(disposable_server).sum("gunicorn_workers_configured") == WORKERS
    assert count_exits(disposable_server) == 0


def test_directory_is_deleted(disposable_server, serve, postgres_url, valkey):
    """A stopping server deletes its metrics directory; a killed server's is deleted by the next one to start."""
    stopped = directory(disposable_server)
    assert disposable_server.stop() == 0
    assert not stopped.exists()
    killed = serve(postgres_url, valkey.url)
    stale = directory(killed)
    killed.kill()
    os.utime(stale, (0, 0))  # a server spares directories younger than a minute
    other = serve(postgres_url, valkey.url)
    assert not stale.exists()
    assert directory(other).exists()


def test_backlog(serve, postgres_url, valkey):
    """Connections made while the worker is suspended are the backlog of the first scrape after that."""
    server = serve(postgres_url, valkey.url, GUNICORN_THREADS="1")
    (worker,) = workers(server)
    worker.suspend()
    try:
        with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as connected:
            first = pool.submit(scrape, server)
            wait_for(lambda: count_connections(server) == 1)
            for _ in range(5):
                connected.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            worker.resume()
            assert first.result().sum("gunicorn_backlog") == 5
    finally:
        worker.resume()


def count_connections(server):
    """Count the unaccepted connections to a server."""
    connections = [c for c in psutil.net_connections("tcp4") if c.laddr and c.laddr.port == server.port]
    return sum(c.status == psutil.CONN_ESTABLISHED for c in connections)
