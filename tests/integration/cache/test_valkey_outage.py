"""Valkey stopped or frozen: the database serves every request within a bounded time, until Valkey is back."""

import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import numbers, product, send_request, together

MAX_SECONDS = 0.5
TIMED_OUT = 0.2  # seconds; a slower response waited for Valkey
MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server that uses Valkey."""
    return serve(postgres_url, valkey.url)


@pytest.fixture(scope="module")
def other(serve, postgres_url, valkey):
    """A second server, as in a second container."""
    return serve(postgres_url, valkey.url)


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of a client with all scopes."""
    return auth_for(postgres_url)


@pytest.fixture(autouse=True)
def valkey_in_use(server, other, valkey):
    """Start each test with Valkey running and both servers using it."""
    if not valkey.running():
        valkey.start()
    wait_for(lambda: is_cached(server) and is_cached(other))


@pytest.fixture
def stopped(valkey):
    """Stop Valkey."""
    valkey.stop()


def get(server, path="/api/products"):
    """Send a GET request, by default for a cached list."""
    return send_request(server.port, "GET", path)


def is_cached(server):
    """Whether a server has the list in its cache."""
    return "hit" in get(server).cache


@pytest.mark.guarantee("With Redis down or frozen, the database serves every request within half a second")
def test_bypass_when_stopped(server, stopped):  # noqa: ARG001
    """With Valkey stopped, lists bypass the cache and arrive within half a second."""
    responses = [get(server) for _ in range(10)] + together(8, lambda _: get(server))
    assert {(response.status, response.cache) for response in responses} == {(200, "fwd=bypass; detail=unavailable")}
    assert max(response.seconds for response in responses) < MAX_SECONDS


def test_readiness_when_stopped(server, stopped):  # noqa: ARG001
    """With Valkey stopped, the server is ready but degraded, and healthy."""
    response = get(server, "/health/ready")
    assert (response.status, response.json["status"]) == (200, "degraded")
    assert response.json["checks"] == {"database": "connected", "migrations": "current", "redis": "unavailable"}
    assert get(server, "/health").status == 200


def test_cache_resource_when_stopped(server, auth, stopped):  # noqa: ARG001
    """With Valkey stopped, /cache returns 503 with Retry-After."""
    for method in ("GET", "DELETE"):
        response = send_request(server.port, method, "/cache", headers=auth)
        assert (response.status, response.headers["Retry-After"]) == (503, "2")


def test_recovery(server, valkey, stopped):  # noqa: ARG001
    """When Valkey is back, the running server caches lists and is ready again."""
    assert get(server).cache.startswith("fwd=bypass")
    valkey.start()
    wait_for(lambda: is_cached(server), seconds=5)
    assert get(server, "/health/ready").json["status"] == "ready"


def test_restart_between_requests(server, valkey):
    """After a restart of Valkey no request fails, although all connections are dead."""
    valkey.stop()
    valkey.start()
    assert {response.status for response in together(8, lambda _: get(server))} == {200}
    wait_for(lambda: is_cached(server), seconds=5)


def uncached_path():
    """Return the path of a list that is in no cache."""
    return f"/api/products?price_min={next(numbers)}"


@pytest.mark.guarantee("With Redis down or frozen, the database serves every request within half a second")
def test_bypass_when_frozen(server, valkey):
    """With Valkey frozen, lists arrive within half a second; after three timeouts the circuit breaker is open."""
    with valkey.frozen():
        responses = [get(server, uncached_path()) for _ in range(10)]
    assert {(response.status, response.cache) for response in responses} == {(200, "fwd=bypass; detail=unavailable")}
    assert max(response.seconds for response in responses) < MAX_SECONDS
    assert sum(response.seconds > TIMED_OUT for response in responses) <= 3
    wait_for(lambda: is_cached(server), seconds=5)


def test_readiness_when_frozen(server, valkey):
    """With Valkey frozen, the readiness probe returns `degraded` within its timeout."""
    with valkey.frozen():
        response = get(server, "/health/ready")
    assert (response.status, response.json["status"], response.seconds < 1.5) == (200, "degraded", True)


@pytest.mark.guarantee("With Redis down or frozen, the database serves every request within half a second")
def test_concurrent_clients_when_frozen(server, valkey):
    """With Valkey frozen, concurrent requests do not wait for one another."""
    with valkey.frozen():
        responses = together(4, lambda _: get(server, uncached_path()))
    assert {response.status for response in responses} == {200}
    assert max(response.seconds for response in responses) < MAX_SECONDS


@pytest.fixture
def shown(server, other, auth):
    """A product that both servers have in a cached list: its path, and a function that requests the list."""
    name = f"Shown {next(numbers)}"
    created = send_request(server.port, "POST", "/api/products", product(name=name), auth)
    path = f"/api/products?q={name.replace(' ', '+')}"
    wait_for(lambda: "hit" in get(server, path).cache and "hit" in get(other, path).cache)
    return created.headers["Location"], lambda server: get(server, path)


def prices(show, *servers):
    """Return the price that each server shows."""
    return [show(server).json["items"][0]["price"] for server in servers]


@pytest.mark.guarantee("A write while Redis is down or frozen is never hidden by older cached responses")
def test_write_when_stopped(server, other, valkey, auth, shown):
    """A write while Valkey is stopped is visible on every server at once, and after Valkey is back."""
    path, show = shown
    valkey.stop()
    assert send_request(server.port, "PATCH", path, {"price": 7}, auth | MERGE_PATCH).status == 200
    assert prices(show, server, other) == [7, 7]
    valkey.start()
    assert prices(show, server, other) == [7, 7]


@pytest.mark.guarantee("A write while Redis is down or frozen is never hidden by older cached responses")
def test_write_when_frozen(server, other, valkey, auth, shown):
    """A write while the circuit breaker is open is not hidden by older entries once Valkey is back."""
    path, show = shown
    with valkey.frozen():
        for _ in range(4):
            get(server, uncached_path())  # opens the circuit breaker, so that nothing waits in the socket
        assert send_request(server.port, "PATCH", path, {"price": 7}, auth | MERGE_PATCH).status == 200
        assert prices(show, server) == [7]
    wait_for(lambda: "bypass" not in show(server).cache, seconds=5)
    assert prices(show, server, other) == [7, 7]
