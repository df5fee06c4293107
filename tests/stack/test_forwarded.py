"""Who asks, and by which id: nginx alone says so, whatever a client writes into its request."""

import re

import pytest

from tests.helpers import wait_for
from tests.stack.compose import docker

FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X_Forwarded_For": "203.0.113.8",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "666",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.6;host=evil.example;proto=https",
    "X-Request-ID": "forged-forged-forged",
}

ECHO = """
import http.server, json

class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/echo' else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.headers.items()).encode())

http.server.HTTPServer(('', 8000), Echo).serve_forever()
"""


@pytest.fixture
def echo(running, image, container):
    """Put a second container beside web, under the same name, that answers /echo with the headers it got."""
    words = (f"--network={running.name}_inside", "--network-alias=web", image)
    started = container(*words, "python", "-c", ECHO)
    yield
    docker("rm", "--force", started)
    wait_for(lambda: all(running.ask("/health").status == 200 for _ in range(10)))


def request(stack, path, headers):
    """Return the bytes of a GET as a browser on this machine would send it."""
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{stack.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_the_application_logs_nginxs_view_of_the_client(running):
    """With every header forged, the application takes the client to be who nginx saw."""
    answer = running.raw(request(running, "/health", FORGED))
    seen = running.log_line("nginx", answer.request_id)["client"]
    assert running.log_line("web", answer.request_id)["client"] == seen
    assert seen not in str(FORGED)


@pytest.mark.usefixtures("echo")
def test_nothing_forged_gets_through_nginx(running):
    """Of all the forged headers none reaches what stands behind nginx."""
    forged = request(running, "/echo", FORGED)
    passed = wait_for(lambda: (answer := running.raw(forged)).status == 200 and answer.json)
    assert "X-Request-ID" in dict(passed)
    assert [pair for pair in passed if pair[1] in FORGED.values()] == []


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X_Forwarded_For"])
def test_no_single_header_changes_the_client(running, name):
    """No header alone changes whom the application takes the client to be."""
    plain, forged = (running.raw(request(running, "/health", h)) for h in ({}, {name: FORGED[name]}))
    plain, forged = (running.log_line("web", answer.request_id)["client"] for answer in (plain, forged))
    assert plain == forged


def test_redirects_know_only_the_host_that_was_asked_for(running):
    """With every header forged, a redirect leads where it would have led."""
    answer = running.raw(request(running, "/api//products", FORGED))
    assert answer.status == 308
    assert answer.headers["Location"] == f"http://localhost:{running.port}/api/products"


def test_one_id_is_in_both_logs_and_in_the_answer(running):
    """The id that nginx made, and none that a client sent, is in both log lines and in the answer."""
    answer = running.raw(request(running, "/health?a=b", FORGED))
    assert re.fullmatch(r"[0-9a-f]{32}", answer.request_id)
    lines = [running.log_line(service, answer.request_id) for service in ("nginx", "web")]
    assert [line["request_id"] for line in lines] == [answer.request_id] * 2


def test_no_query_is_logged(running):
    """What stands behind the question mark, where secrets travel, is in neither line."""
    answer = running.ask("/api/products?cursor=hidden-hidden")
    lines = [running.log_line(service, answer.request_id) for service in ("nginx", "web")]
    assert [line["path"] for line in lines] == ["/api/products"] * 2
    assert "hidden" not in str(lines)


def test_nginx_logs_what_was_asked_when_it_answers_itself(running):
    """The log line of a request that nginx refused names the method and the path that were asked."""
    answer = running.raw(b"POST /api/products HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n")
    line = running.log_line("nginx", answer.request_id)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/products", 413)
