"""Metrics stay exact while workers are killed under load."""

import signal
import threading
from collections import Counter

import psutil
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import send_request
from tests.support.integration.scrape import files, scrape, workers

CLIENTS = 8
WORKERS, THREADS = 2, 4
ROUNDS = 12
RESPONSES_PER_ROUND = 20
PATHS = {"/health": "/health", "/api/products": "/api/products", "/nowhere": "unmatched"}


class Clients:
    """Threads that send requests continuously and record the responses and the failures."""

    def __init__(self, server):
        self.server, self.stopping = server, threading.Event()
        self.responses, self.failed = [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def __enter__(self):
        """Start the threads."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """Stop the threads, each after its current request."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        """Send requests until stopped."""
        count = 0
        while not self.stopping.is_set():
            count += 1
            path = list(PATHS)[count % len(PATHS)]
            try:
                response = send_request(self.server.port, "GET", path)
            except Exception:  # noqa: BLE001 - any exception means that there is no response
                self.failed.append(path)
            else:
                self.responses.append(("GET", str(response.status), PATHS[path]))


@pytest.fixture
def server(serve, postgres_url, valkey):
    """A server with a second worker while one is killed."""
    environ = {"WEB_CONCURRENCY": str(WORKERS), "GUNICORN_THREADS": str(THREADS), "DB_TIMEOUT": "10"}
    return serve(postgres_url, valkey.url, **environ)


def kill(server, number, turn):
    """Send a signal to a worker and wait for its exit; after 3 s send SIGKILL, as Gunicorn does after SIGABRT."""
    victim = wait_for(lambda: len(found := workers(server)) == WORKERS and found)[turn % WORKERS]
    victim.send_signal(number)
    try:
        victim.wait(3)
    except psutil.TimeoutExpired:
        victim.kill()


SIGNALS = [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT]


@pytest.mark.guarantee("Metrics count every response exactly once, even while workers are killed")
@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_responses_are_counted_once(server, number):
    """Every response is counted exactly once.

    A killed worker may also have counted one request per thread whose response it was sending.
    """
    before = scrape(server).each("http_server_request_duration_seconds_count")
    with Clients(server) as clients:
        for turn in range(ROUNDS):
            wait_for(lambda turn=turn: len(clients.responses) > RESPONSES_PER_ROUND * (turn + 1))
            kill(server, number, turn)
    counted = Counter(scrape(server).each("http_server_request_duration_seconds_count"))
    counted.subtract(before)
    received = Counter(clients.responses)
    for labels in counted | received:
        assert received[labels] <= counted[labels]
    for path, route in PATHS.items():
        assert count_route(route, counted) <= count_route(route, received) + clients.failed.count(path)
    assert counted.total() - received.total() <= ROUNDS * THREADS
    assert_dead_workers_left_nothing(server)


def count_route(route, counts):
    """Sum a route's counts over all statuses."""
    return sum(count for (_method, _status, counted_route), count in counts.items() if counted_route == route)


def assert_dead_workers_left_nothing(server):
    """Verify that dead workers have neither gauges nor files of their own."""
    wait_for(lambda: scrape(server).sum("gunicorn_workers") == WORKERS)  # the last replacement may still be starting
    wait_for(lambda: scrape(server).sum("http_server_active_requests") == 0)  # a client may be ahead of its worker
    assert scrape(server).sum("db_client_connection_count", state="used") == 0
    assert len(files(server)) == 4 * (WORKERS + 1)
