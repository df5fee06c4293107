"""SIGTERM: what was accepted ends, readiness says it first, and the exit is a clean one."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.helpers import wait_for

DRAIN = 11  # seconds; more than the 10 after which Docker kills by default


@contextmanager
def held(stack, path):
    """Hold a product's row in a transaction; yield a function that asks the database, and let go at the end."""
    with stack.psql() as session:

        def query(sql):
            session.stdin.write(f"{sql};\n")
            return session.stdout.readline().strip()

        product_id = path.rpartition("/")[2]
        assert query(f"BEGIN; SELECT id FROM products WHERE id = {product_id} FOR UPDATE") == product_id
        yield query
        session.stdin.write("COMMIT;\n")
        session.stdin.close()
        session.wait(10)


def stopped(stack):
    """Return how web's last container ended, or nothing while it runs."""
    state = stack.inspect("web")["State"]
    return None if state["Running"] else (state["ExitCode"], state["OOMKilled"])


def told(stack):
    """Whether Gunicorn's master has heard that it shall stop."""
    return "Handling signal: term" in stack.compose("logs", "--tail", "50", "web").stdout


def test_a_request_in_flight_ends_before_the_server_does(stack, token, product):
    """A change that waits for the database while web is told to stop is carried out and answered; web exits with 0."""
    patch = {"method": "PATCH", "json": {"price": 7}, "token": token, "headers": {"If-Match": "*"}}
    with ThreadPoolExecutor(1) as pool:
        with held(stack, product) as query:
            change = pool.submit(stack.ask, product, **patch)
            wait_for(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
            stop = subprocess.Popen(["docker", "stop", stack.container("web")], stdout=subprocess.DEVNULL)
            wait_for(lambda: told(stack))
            assert not change.done()
        assert change.result().status == 200
    assert stop.wait(40) == 0
    assert stopped(stack) == (0, False)


@pytest.fixture
def draining(stack):
    """Give web DRAIN_SECONDS, for this test alone."""
    stack.settings["DRAIN_SECONDS"] = str(DRAIN)
    stack.up("--no-deps", "web")
    yield
    del stack.settings["DRAIN_SECONDS"]
    stack.up("--no-deps", "web")


@pytest.mark.usefixtures("draining")
def test_with_drain_seconds_it_first_says_that_it_is_not_ready(stack):
    """Told to stop, web says so in its readiness and goes on serving for DRAIN_SECONDS, and nobody kills it."""
    stop = stack.start("stop", "web", stderr=subprocess.DEVNULL)
    ready = wait_for(lambda: (answer := stack.ask("/health/ready")).status == 503 and answer)
    assert ready.json["status"] == "draining"
    assert [stack.ask("/api/products").status for _ in range(20)] == [200] * 20
    assert stop.wait(40) == 0
    assert stopped(stack) == (0, False)
