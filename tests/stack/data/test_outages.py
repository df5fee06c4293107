"""Backends that stop, freeze and come back, while clients go on asking; web is never restarted."""

import secrets
import threading
from contextlib import contextmanager

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import is_problem

PATIENCE = 5  # seconds; above DB_TIMEOUT and what a client waits beyond it


@contextmanager
def clients(stack, token, path):
    """Read, list and write in a loop beside the block; yield the answers so far, as (path, status, seconds).

    What is written is a product that is there already: a change would empty the cache.
    """
    seen, ended = [], threading.Event()

    def loop(path, method, **options):
        while not ended.wait(0.1):
            answer = stack.ask(path, method, **options)
            seen.append((path, answer.status, answer.seconds))

    known = {name: stack.ask(path).json[name] for name in ("sku", "name", "price", "currency")}
    jobs = [("/api/products", "GET", {}), (path, "GET", {}), ("/api/products", "POST", {"json": known, "token": token})]
    threads = [threading.Thread(target=loop, args=(path, verb), kwargs=options) for path, verb, options in jobs]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def outage(stack, service, down, back):
    """Take a backend away around the block; at the end all has recovered, in the same process."""
    started = stack.inspect("web")["State"]["StartedAt"]
    stack.compose(down, service)
    yield
    stack.compose(back, service)
    wait_for(lambda: stack.ask("/health/ready").json["status"] == "ready", seconds=15)
    assert stack.inspect("web")["State"]["StartedAt"] == started


def new_list():
    """Return the path of a list that nobody has asked for."""
    return f"/api/products?price_max={secrets.randbelow(10**9)}"


def warm(stack):
    """Have an answer in the cache that is new, and return its path."""
    path = new_list()
    assert stack.ask(path).status == 200
    return path


def says_when_to_try_again(answer):
    """Whether this is a 503 that came in bounded time and says so."""
    return is_problem(answer, 503) and int(answer.headers["Retry-After"]) >= 1 and answer.seconds < PATIENCE


@pytest.mark.parametrize(("down", "back"), [("stop", "start"), ("pause", "unpause")])
def test_the_database_goes_and_comes_back(stack, token, product, down, back):
    """Without the database: not ready, 503 with Retry-After in bounded time, cached lists go on; then all is well."""
    with clients(stack, token, product) as seen:
        cached = warm(stack)
        with outage(stack, "db", down, back):
            ready = stack.ask("/health/ready")
            assert (ready.status, ready.json["status"], ready.seconds < 2) == (503, "unavailable", True)
            assert all(says_when_to_try_again(stack.ask(product)) for _ in range(3))
            assert [stack.ask(path).status for path in (cached, "/health")] == [200, 200]
        wait_for(lambda: stack.ask(product).status == 200, seconds=10)
    assert {status for _, status, _ in seen} == {200, 409, 503}
    assert max(seconds for _, _, seconds in seen) < PATIENCE


@pytest.mark.parametrize(("down", "back"), [("stop", "start"), ("pause", "unpause")])
def test_the_cache_goes_and_comes_back(stack, token, product, down, back):
    """Without Redis: degraded but ready, every request served from the database in good time; then all is well."""
    with clients(stack, token, product) as seen, outage(stack, "redis", down, back):
        ready = stack.ask("/health/ready")
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert stack.ask(new_list()).headers["Cache-Status"] == "app; fwd=bypass; detail=unavailable"
    assert {status for _, status, _ in seen} == {200, 409}
    assert max(seconds for _, _, seconds in seen) < 2
