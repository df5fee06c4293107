"""Valkey away or frozen: every answer still comes, from the database, soon and saying so; and then it heals."""

import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import ask, numbers, product, together

SOON = 0.5  # seconds
FROZEN = 0.2  # seconds; an answer that took longer waited for Valkey
MERGE_PATCH = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def server(serve, postgres_url, valkey):
    """A server that uses the Valkey."""
    return serve(postgres_url, valkey.url)


@pytest.fixture(scope="module")
def other(serve, postgres_url, valkey):
    """A second server beside the first, as a second container."""
    return serve(postgres_url, valkey.url)


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The headers of a client that may do everything."""
    return auth_for(postgres_url)


@pytest.fixture(autouse=True)
def everything_is_well(server, other, valkey):
    """Begin each test with a Valkey that answers and servers that use it."""
    if not valkey.running():
        valkey.start()
    wait_for(lambda: cached(server) and cached(other))


@pytest.fixture
def stopped(valkey):
    """Valkey is stopped."""
    valkey.stop()


def get(server, path="/api/products"):
    """Send GET, by default for the list that is cached."""
    return ask(server.port, "GET", path)


def cached(server):
    """Whether a server answers the list from its cache."""
    return "hit" in get(server).cache


def test_lists_come_from_the_database(server, stopped):  # noqa: ARG001
    """With Valkey stopped lists answer 200 within half a second, and say that the cache was gone around."""
    answers = [get(server) for _ in range(10)] + together(8, lambda _: get(server))
    assert {(answer.status, answer.cache) for answer in answers} == {(200, "fwd=bypass; detail=unavailable")}
    assert max(answer.seconds for answer in answers) < SOON


def test_readiness_is_degraded(server, stopped):  # noqa: ARG001
    """With Valkey stopped the server stays ready, degraded, and healthy."""
    answer = get(server, "/health/ready")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"] == {"database": "connected", "migrations": "current", "redis": "unavailable"}
    assert get(server, "/health").status == 200


def test_the_cache_itself_says_that_it_is_away(server, auth, stopped):  # noqa: ARG001
    """With Valkey stopped what is about the cache alone answers 503 with Retry-After."""
    for method in ("GET", "DELETE"):
        answer = ask(server.port, method, "/cache", headers=auth)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


def test_it_heals_without_a_restart(server, valkey, stopped):  # noqa: ARG001
    """When Valkey is back the lists are cached again and the server is ready, with the process it was."""
    assert get(server).cache.startswith("fwd=bypass")
    valkey.start()
    wait_for(lambda: cached(server), seconds=5)
    assert get(server, "/health/ready").json["status"] == "ready"


def test_a_restart_between_two_requests(server, valkey):
    """After a restart of Valkey no request fails, though every connection to it is dead."""
    valkey.stop()
    valkey.start()
    assert {answer.status for answer in together(8, lambda _: get(server))} == {200}
    wait_for(lambda: cached(server), seconds=5)


def fresh_path():
    """Return the address of a list that no cache has."""
    return f"/api/products?price_min={next(numbers)}"


def test_a_frozen_valkey(server, valkey):
    """With Valkey frozen each list is answered within half a second, and after three it is not asked for a while."""
    with valkey.frozen():
        answers = [get(server, fresh_path()) for _ in range(10)]
    assert {(answer.status, answer.cache) for answer in answers} == {(200, "fwd=bypass; detail=unavailable")}
    assert max(answer.seconds for answer in answers) < SOON
    assert sum(answer.seconds > FROZEN for answer in answers) <= 3
    wait_for(lambda: cached(server), seconds=5)


def test_readiness_of_a_frozen_valkey(server, valkey):
    """With Valkey frozen readiness says degraded, within its second."""
    with valkey.frozen():
        answer = get(server, "/health/ready")
    assert (answer.status, answer.json["status"], answer.seconds < 1.5) == (200, "degraded", True)


def test_many_clients_of_a_frozen_valkey(server, valkey):
    """With Valkey frozen clients that come together do not wait one after the other."""
    with valkey.frozen():
        answers = together(4, lambda _: get(server, fresh_path()))
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < SOON


@pytest.fixture
def shown(server, other, auth):
    """A product that both servers show in a cached list; gives its address, and what a server's list says of it."""
    name = f"Shown {next(numbers)}"
    made = ask(server.port, "POST", "/api/products", product(name=name), auth)
    path = f"/api/products?q={name.replace(' ', '+')}"
    wait_for(lambda: "hit" in get(server, path).cache and "hit" in get(other, path).cache)
    return made.headers["Location"], lambda one: get(one, path)


def test_a_write_while_valkey_is_stopped(server, other, valkey, auth, shown):
    """What is written while Valkey is stopped is seen by every server at once, and when it is back too."""
    address, show = shown
    valkey.stop()
    assert ask(server.port, "PATCH", address, {"price": 7}, auth | MERGE_PATCH).status == 200
    for restart in (lambda: None, valkey.start):
        restart()
        assert [show(one).json["items"][0]["price"] for one in (server, other)] == [7, 7]


def test_a_write_while_valkey_is_frozen(server, other, valkey, auth, shown):
    """What is written while Valkey is given up, entries and all, is not hidden by those entries once it is back."""
    address, show = shown
    with valkey.frozen():
        for _ in range(4):
            get(server, fresh_path())  # from then on it is left alone, so nothing waits in its socket
        assert ask(server.port, "PATCH", address, {"price": 7}, auth | MERGE_PATCH).status == 200
        assert show(server).json["items"][0]["price"] == 7
    wait_for(lambda: "bypass" not in show(server).cache, seconds=5)
    assert [show(one).json["items"][0]["price"] for one in (server, other)] == [7, 7]
