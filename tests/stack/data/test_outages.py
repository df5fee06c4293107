"""Backends stop, freeze and recover under load; the application is never restarted."""

import secrets
import threading
from contextlib import contextmanager

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import is_problem

TIMEOUT_S = 5  # more than DB_TIMEOUT and the client's own limit


@contextmanager
def clients(stack, token, path):
    """Read, list and write in a loop around the block; yield the responses so far, as (path, status, seconds).

    Writes repeat an existing product, because a change would invalidate the cache.
    """
    responses, ended = [], threading.Event()

    def loop(path, method, **options):
        while not ended.wait(0.1):
            response = stack.request(path, method, **options)
            responses.append((path, response.status, response.seconds))

    payload = {name: stack.request(path).json[name] for name in ("sku", "name", "price", "currency")}
    jobs = [
        ("/api/products", "GET", {}),
        (path, "GET", {}),
        ("/api/products", "POST", {"json": payload, "token": token}),
    ]
    threads = [threading.Thread(target=loop, args=(path, verb), kwargs=options) for path, verb, options in jobs]
    for thread in threads:
        thread.start()
    try:
        yield responses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def outage(stack, service, down, back):
    """Make a backend unavailable around the block; then wait until the same process is ready."""
    started = stack.inspect("web")["State"]["StartedAt"]
    stack.compose(down, service)
    yield
    stack.compose(back, service)
    wait_for(lambda: stack.request("/health/ready").json["status"] == "ready", seconds=15)
    assert stack.inspect("web")["State"]["StartedAt"] == started


def new_list():
    """Return the path of an uncached list."""
    return f"/api/products?price_max={secrets.randbelow(10**9)}"


def warm(stack):
    """Cache a list and return its path."""
    path = new_list()
    assert stack.request(path).status == 200
    return path


def is_quick_503(response):
    """Whether a response is a 503 with Retry-After, in bounded time."""
    return is_problem(response, 503) and int(response.headers["Retry-After"]) >= 1 and response.seconds < TIMEOUT_S


@pytest.mark.parametrize(("down", "back"), [("stop", "start"), ("pause", "unpause")])
def test_database_outage(stack, token, product, down, back):
    """Without the database: not ready, a quick 503 with Retry-After, cached lists served; then recovery."""
    with clients(stack, token, product) as responses:
        cached = warm(stack)
        with outage(stack, "db", down, back):
            ready = stack.request("/health/ready")
            assert (ready.status, ready.json["status"], ready.seconds < 2) == (503, "unavailable", True)
            assert all(is_quick_503(stack.request(product)) for _ in range(3))
            assert [stack.request(path).status for path in (cached, "/health")] == [200, 200]
        wait_for(lambda: stack.request(product).status == 200, seconds=10)
    assert {status for _, status, _ in responses} == {200, 409, 503}
    assert max(seconds for _, _, seconds in responses) < TIMEOUT_S


@pytest.mark.parametrize(("down", "back"), [("stop", "start"), ("pause", "unpause")])
def test_cache_outage(stack, token, product, down, back):
    """Without Redis: degraded but ready, every request served from the database; then recovery."""
    with clients(stack, token, product) as responses, outage(stack, "redis", down, back):
        ready = stack.request("/health/ready")
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert stack.request(new_list()).headers["Cache-Status"] == "app; fwd=bypass; detail=unavailable"
    assert {status for _, status, _ in responses} == {200, 409}
    assert max(seconds for _, _, seconds in responses) < 2
