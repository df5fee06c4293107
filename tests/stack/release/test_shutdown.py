"""SIGTERM: accepted requests complete, readiness reports draining, and the exit code is 0."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.helpers import wait_for

DRAIN_SECONDS = 11  # more than Docker's default kill timeout of 10


@contextmanager
def locked_row(stack, path):
    """Hold a product's row lock in a transaction; yield a function that runs a query in it."""
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


def exit_state(stack):
    """Return web's exit code and OOM flag, or None while it runs."""
    state = stack.inspect("web")["State"]
    return None if state["Running"] else (state["ExitCode"], state["OOMKilled"])


def has_sigterm(stack):
    """Whether Gunicorn's master logged SIGTERM."""
    return "Handling signal: term" in stack.compose("logs", "--tail", "50", "web").stdout


@pytest.mark.guarantee("On SIGTERM the server reports draining, completes requests in flight and exits with 0")
def test_a_request_in_flight_completes_before_the_server_stops(stack, token, product):
    """A write that waits for the database during SIGTERM completes, and web exits with 0."""
    patch = {"method": "PATCH", "json": {"price": 7}, "token": token, "headers": {"If-Match": "*"}}
    with ThreadPoolExecutor(1) as pool:
        with locked_row(stack, product) as query:
            change = pool.submit(stack.request, product, **patch)
            wait_for(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
            stop = subprocess.Popen(["docker", "stop", stack.container("web")], stdout=subprocess.DEVNULL)
            wait_for(lambda: has_sigterm(stack))
            assert not change.done()
        assert change.result().status == 200
    assert stop.wait(40) == 0
    assert exit_state(stack) == (0, False)


@pytest.fixture
def draining(stack):
    """Web with DRAIN_SECONDS, for this test."""
    stack.settings["DRAIN_SECONDS"] = str(DRAIN_SECONDS)
    stack.up("--no-deps", "web")
    yield
    del stack.settings["DRAIN_SECONDS"]
    stack.up("--no-deps", "web")


@pytest.mark.guarantee("On SIGTERM the server reports draining, completes requests in flight and exits with 0")
@pytest.mark.usefixtures("draining")
def test_draining_reports_not_ready_and_still_serves(stack):
    """During DRAIN_SECONDS web reports not ready and still serves; Docker does not kill it."""
    stop = stack.start("stop", "web", stderr=subprocess.DEVNULL)
    ready = wait_for(lambda: (response := stack.request("/health/ready")).status == 503 and response)
    assert ready.json["status"] == "draining"
    assert [stack.request("/api/products").status for _ in range(20)] == [200] * 20
    assert stop.wait(40) == 0
    assert exit_state(stack) == (0, False)
