"""No failure writes a secret to the log of the real server, and each failure is logged once."""

import json
import re
import socket
from http.client import IncompleteRead

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.integration.client import send_request

SITE = "tests/support/integration/failing_site.py"
FAILURES = re.findall(r"^def (\w+)\(\):", (ROOT / SITE).read_text(encoding="utf-8"), re.MULTILINE)[1:-1]
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
    """A server with failing views that logs at level DEBUG; its database password is a canary too."""
    url = postgres_url.replace("postgres@", f"postgres:{CANARY}@")
    site = {"site": "tests.support.integration.failing_site:app", "TRUSTED_PROXIES": "1"}
    return serve(url, valkey.url, **site, LOG_FORMAT=request.param, LOG_LEVEL="DEBUG")


@pytest.fixture
def logged(server):
    """Return a function that calls its argument and returns what was logged meanwhile."""

    def during(act):
        start = len(server.log.read_text())
        act()
        last_id = send_request(server.port, "GET", "/health").headers["X-Request-ID"][:8]
        wait_for(lambda: last_id in server.log.read_text()[start:])
        return server.log.read_text()[start:]

    return during


def post(server, how):
    """Call a failing view, with secrets in the query, the body and headers."""
    return send_request(server.port, "POST", f"/fail/{how}?reset_token={CANARY}", BODY, HEADERS)


@pytest.mark.guarantee("No log line contains a secret, whatever fails")
@pytest.mark.parametrize("how", FAILURES)
def test_failure(server, logged, how):
    """The traceback of any failure has no secret."""
    log = logged(lambda: post(server, how))
    assert CANARY not in log
    assert f"in {how}" in log


def test_failure_outside_flask(server, logged):
    """Gunicorn's line for a failure outside of Flask has the path and no query."""
    log = logged(lambda: send_request(server.port, "GET", f"/outside?token={CANARY}", headers=HEADERS))
    assert CANARY not in log
    assert "Error handling request GET /outside?[redacted]" in log
    assert "RuntimeError: failed outside of Flask" in log


def test_truncated_response(server, logged):
    """A failure while the body is sent is logged."""

    def read():
        with pytest.raises(IncompleteRead):
            post(server, "truncated_response")

    log = logged(read)
    assert CANARY not in log
    assert "RuntimeError: the second half failed" in log


@pytest.mark.parametrize("how", ["invalid_value", "cause"])
def test_failure_is_logged_once(server, logged, how):
    """An exception is one line, with its request id, method, route and statement."""
    log = logged(lambda: post(server, how))
    assert log.count("Traceback (most recent call last)") == (1 if how == "invalid_value" else 2) + 1
    assert "invalid input syntax for type integer: [redacted] (SQLSTATE 22P02)" in log
    assert "SELECT CAST(%(value)s AS integer)" in log
    if log.startswith("{"):
        records = [json.loads(line) for line in log.splitlines()]
        (line,) = [record for record in records if "exception" in record]
        assert (line["level"], line["request_id"]) == ("ERROR", ID)
        assert (line["method"], line["route"], line["path"]) == ("POST", "/fail/<how>", f"/fail/{how}")


@pytest.mark.guarantee("No log line contains a secret, whatever fails")
@pytest.mark.parametrize("request_line", MALFORMED)
def test_malformed_request(server, logged, request_line):
    """Gunicorn's line for a malformed request quotes nothing of it."""
    assert CANARY not in logged(lambda: send(server, request_line.encode()))


def send(server, data):
    """Send bytes and read to the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


@pytest.mark.guarantee("No text from a client forges a log line")
@pytest.mark.parametrize("field", ["/a%0d%0aforged", "/%1b[2Kforged", "/a%22,%22level%22:%22forged"])
def test_nothing_forges_a_line(server, logged, field):
    """A line break, an escape or a quote from a client neither starts a line nor ends a string."""
    log = logged(lambda: send_request(server.port, "GET", field))
    assert "\x1b" not in log
    assert [line for line in log.splitlines() if line.startswith("forged")] == []
    if log.startswith("{"):
        assert {json.loads(line)["level"] for line in log.splitlines()} <= {"INFO", "DEBUG", "WARNING"}


def test_log_of_start_has_no_secret(server):
    """The whole log, from the start of the server, has no secret."""
    assert CANARY not in server.log.read_text()
