"""No secret gets into a log, whatever goes wrong, through the real server; and what went wrong is told, once."""

import json
import re
import socket
from http.client import IncompleteRead

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.integration.client import ask

SITE = "tests/support/integration/failing_site.py"
WAYS = re.findall(r"^def (\w+)\(\):", (ROOT / SITE).read_text(encoding="utf-8"), re.MULTILINE)[1:-1]
CANARY = "hunter2-canary"
ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}", "X-Api-Key": CANARY}
HEADERS |= {"Referer": f"http://127.0.0.1/reset?token={CANARY}", "X-Request-ID": ID}
BODY = {"password": CANARY}
MALFORMED = [
    f"GET /x?token={CANARY} HTTTP/1.1\r\n\r\n",
    f"GET /x?token={CANARY} HTTP/1.1\r\nX-Api-Key {CANARY}\r\n\r\n",
    f"GET /x?token={CANARY}",
]


@pytest.fixture(scope="module", params=["json", "text"])
def server(serve, postgres_url, valkey, request):
    """A server that fails on request, which logs all that it can; its database's password is a canary too."""
    url = postgres_url.replace("postgres@", f"postgres:{CANARY}@")
    site = {"site": "tests.support.integration.failing_site:app", "TRUSTED_PROXIES": "1"}
    return serve(url, valkey.url, **site, LOG_FORMAT=request.param, LOG_LEVEL="DEBUG")


@pytest.fixture
def logged(server):
    """Return a function that does something, and returns what was logged meanwhile."""

    def during(act):
        start = len(server.log.read_text())
        act()
        behind = ask(server.port, "GET", "/health").headers["X-Request-ID"][:8]
        wait_for(lambda: behind in server.log.read_text()[start:])
        return server.log.read_text()[start:]

    return during


def post(server, how):
    """Fail, with a secret in each place where one travels."""
    return ask(server.port, "POST", f"/fail/{how}?reset_token={CANARY}", BODY, HEADERS)


@pytest.mark.parametrize("how", WAYS)
def test_failure(server, logged, how):
    """Whatever fails, its story is told without a secret."""
    told = logged(lambda: post(server, how))
    assert CANARY not in told
    assert f"in {how}" in told


def test_failure_outside_of_flask(server, logged):
    """What Gunicorn logs of a request that failed in its hands has its path and no query."""
    told = logged(lambda: ask(server.port, "GET", f"/outside?token={CANARY}", headers=HEADERS))
    assert CANARY not in told
    assert "Error handling request GET /outside?[hidden]" in told
    assert "RuntimeError: nobody is at home" in told


def test_half_an_answer(server, logged):
    """An answer that breaks off is told, as all else."""

    def read():
        with pytest.raises(IncompleteRead):
            post(server, "half_an_answer")

    told = logged(read)
    assert CANARY not in told
    assert "RuntimeError: the other half is away" in told


@pytest.mark.parametrize("how", ["value_of_no_type", "cause"])
def test_told_once(server, logged, how):
    """An exception is one line, with its request's id, method and route, and what it takes to understand it."""
    told = logged(lambda: post(server, how))
    assert told.count("Traceback (most recent call last)") == (1 if how == "value_of_no_type" else 2) + 1
    assert "invalid input syntax for type integer: [hidden] (SQLSTATE 22P02)" in told
    assert "SELECT CAST(%(value)s AS integer)" in told
    if told.startswith("{"):
        records = [json.loads(line) for line in told.splitlines()]
        (line,) = [record for record in records if "exception" in record]
        assert (line["level"], line["request_id"]) == ("ERROR", ID)
        assert (line["method"], line["route"], line["path"]) == ("POST", "/fail/<how>", f"/fail/{how}")


@pytest.mark.parametrize("request_line", MALFORMED)
def test_what_gunicorn_refuses(server, logged, request_line):
    """What is not HTTP is logged by Gunicorn, by its kind alone."""
    assert CANARY not in logged(lambda: send(server, request_line.encode()))


def send(server, data):
    """Send bytes, and wait for the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


@pytest.mark.parametrize("field", ["/a%0d%0aforged", "/%1b[2Kforged", "/a%22,%22level%22:%22forged"])
def test_nothing_forges_a_line(server, logged, field):
    """A line break, an escape or a quote in what a client sends neither begins a line nor ends a string."""
    told = logged(lambda: ask(server.port, "GET", field))
    assert "\x1b" not in told
    assert [line for line in told.splitlines() if line.startswith("forged")] == []
    if told.startswith("{"):
        assert {json.loads(line)["level"] for line in told.splitlines()} <= {"INFO", "DEBUG", "WARNING"}


def test_the_start_tells_no_secret(server):
    """From its start on the server has told none."""
    assert CANARY not in server.log.read_text()
