"""Workers die in every way under load, again and again: what was answered is what was counted."""

import signal
import threading
from collections import Counter

import psutil
import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import ask
from tests.support.integration.scrape import files, scrape, workers

CLIENTS = 8
WORKERS, THREADS = 2, 4
ROUNDS = 12
PATHS = {"/health": "/health", "/api/products": "/api/products", "/nowhere": "unmatched"}


class Clients:
    """Ask all the time, and remember what became of it."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.answered, self.failed = [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def __enter__(self):
        """Begin."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """End, each with the request that it is about."""
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        """Ask until it is over."""
        count = 0
        while not self.over.is_set():
            count += 1
            path = list(PATHS)[count % len(PATHS)]
            try:
                answer = ask(self.server.port, "GET", path)
            except Exception:  # noqa: BLE001 - whatever it is, it is not an answer
                self.failed.append(path)
            else:
                self.answered.append(("GET", str(answer.status), PATHS[path]))


@pytest.fixture
def server(serve, postgres_url, valkey):
    """A server with a worker that is left while another ends."""
    environ = {"WEB_CONCURRENCY": str(WORKERS), "GUNICORN_THREADS": str(THREADS), "DB_TIMEOUT": "10"}
    return serve(postgres_url, valkey.url, **environ)


def kill(server, number, turn):
    """Send a signal to one of the workers, and wait for its end; then SIGKILL, as Gunicorn does after SIGABRT."""
    victim = wait_for(lambda: len(found := workers(server)) == WORKERS and found)[turn % WORKERS]
    victim.send_signal(number)
    try:
        victim.wait(3)
    except psutil.TimeoutExpired:
        victim.kill()


WAYS = [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT]


@pytest.mark.parametrize("number", WAYS, ids=[way.name for way in WAYS])
def test_counted_is_answered(server, number):
    """Each answer was counted once, and beyond them at most what a worker was sending when it died.

    That is one request of each of its threads, and its client has not got the answer.
    """
    before = scrape(server).each("http_server_request_duration_seconds_count")
    with Clients(server) as clients:
        for turn in range(ROUNDS):
            kill(server, number, turn)
    counted = Counter(scrape(server).each("http_server_request_duration_seconds_count"))
    counted.subtract(before)
    answered = Counter(clients.answered)
    assert len(clients.answered) > 20 * ROUNDS
    for what in counted | answered:
        assert answered[what] <= counted[what]
    for path, route in PATHS.items():
        assert of(route, counted) <= of(route, answered) + clients.failed.count(path)
    assert counted.total() - answered.total() <= ROUNDS * THREADS
    assert_nothing_is_left(server)


def of(route, counts):
    """Add up what there is of a route, whatever its status."""
    return sum(count for what, count in counts.items() if what[2] == route)


def assert_nothing_is_left(server):
    """No gauge counts a worker that is dead, and no file is kept for one."""
    seen = scrape(server)
    assert seen.sum("http_server_active_requests") == 0
    assert seen.sum("db_client_connection_count", state="used") == 0
    assert seen.sum("gunicorn_workers") == WORKERS
    assert len(files(server)) == 4 * (WORKERS + 1)
