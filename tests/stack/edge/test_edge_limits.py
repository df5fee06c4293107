"""Limits for one client: exceeding them gets a clear error, and other clients are unaffected."""

import contextlib
import ipaddress
import itertools
import json
import threading
import time

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import connect_tls, is_problem
from tests.support.stack.edge import CDN
from tests.support.stack.server import HOST
from tests.support.stack.tool import URL, address, run_tool

NUMBERS = itertools.count(1)
CLIENT_SECONDS = 2


@pytest.fixture(scope="module")
def limited(new_edge):
    """Nginx with low limits, behind a CDN that names the clients."""
    return new_edge(
        CDN_NETWORKS=CDN,
        API_RATE=2,
        TOKEN_RATE=1,
        SIGN_IN_RATE=6,
        CLIENT_REQUESTS=4,
        CLIENT_SECONDS=CLIENT_SECONDS,
        BODY_KILOBYTES=8,
    )


@pytest.fixture
def client():
    """A client address that no other test uses."""
    return f"203.0.113.{next(NUMBERS)}"


def responses_by_status(edge, number, client, path="/api/x", **options):
    """Send the same request several times and return the responses by status."""
    headers = {"X-Forwarded-For": client}
    responses = [edge.get(path, headers=headers, **options) for _ in range(number)]
    return {status: [response for response in responses if response.status == status] for status in (200, 429)}


@pytest.mark.guarantee(
    "A client that exceeds its rate gets 429 with Retry-After, whatever the spelling of the path or its IPv6 address"
)
def test_an_exceeded_rate_gets_429_with_retry_after(limited, client):
    """Beyond the burst a client gets a 429 problem document; after Retry-After it is served again."""
    seen = responses_by_status(limited, 25, client)
    assert len(seen[200]) >= 5
    assert len(seen[429]) >= 5
    rejected = seen[429][-1]
    assert is_problem(rejected, 429)
    assert rejected.json["title"] == "Too Many Requests"
    time.sleep(int(rejected.headers["Retry-After"]))  # the promise is about this time
    assert limited.get("/api/x", headers={"X-Forwarded-For": client}).status == 200


@pytest.mark.guarantee("While one client is rate-limited, other clients are served")
def test_other_clients_are_not_limited(limited, client):
    """While one client is limited, another is served."""
    assert responses_by_status(limited, 20, client)[429]
    assert len(responses_by_status(limited, 5, "198.51.100.7")[200]) == 5


def test_pages_are_not_rate_limited(limited, client):
    """The API's rate limit does not count pages and files."""
    assert len(responses_by_status(limited, 30, client, "/page")[200]) == 30


def test_requests_with_a_token_have_a_lower_limit(limited, client):
    """Requests with a token are limited earlier, on every path."""
    seen = responses_by_status(limited, 15, client, "/page", token="guess")
    assert len(seen[429]) >= 5


def test_sign_in_is_limited_per_minute(limited, client):
    """A few sign-in attempts get 429 with Retry-After; reading the page is not counted."""
    seen = responses_by_status(limited, 10, client, "/login", method="POST")
    assert 5 < len(seen[200]) < 8
    assert {response.headers["Retry-After"] for response in seen[429]} == {"13"}
    assert len(responses_by_status(limited, 10, client, "/login")[200]) == 10


@pytest.mark.guarantee(
    "A client that exceeds its rate gets 429 with Retry-After, whatever the spelling of the path or its IPv6 address"
)
@pytest.mark.parametrize("path", ["/api//tokens", "/api/./tokens/", "/%6cogin", "/login/"])
def test_other_spellings_of_a_path_are_limited(limited, client, path):
    """Encoded, doubled and dotted spellings of a limited path are limited too."""
    assert responses_by_status(limited, 10, client, path, method="POST")[429]


@pytest.mark.guarantee(
    "A client that exceeds its rate gets 429 with Retry-After, whatever the spelling of the path or its IPv6 address"
)
def test_an_ipv6_64_is_one_client(limited):
    """Requests from many addresses of one /64 are limited together; the next /64 is another client."""
    responses = [limited.get("/api/x", headers={"X-Forwarded-For": f"2001:db8:0:7::{n}:1"}).status for n in range(25)]
    assert responses.count(429) >= 5
    assert limited.get("/api/x", headers={"X-Forwarded-For": "2001:db8:0:8::1"}).status == 200


def test_ipv4_mapped_addresses_are_separate_clients(limited):
    """IPv4-mapped IPv6 addresses count as separate clients."""
    responses = [limited.get("/api/x", headers={"X-Forwarded-For": f"::ffff:192.0.2.{n}"}).status for n in range(1, 26)]
    assert set(responses) == {200}


def test_ipv6_clients_keep_their_address(limited, tools):
    """The application sees an IPv6 client's own address, not Docker's."""
    own_address = address(limited, "GlobalIPv6Address")
    command = ("curl", "--silent", "--insecure", "--resolve", f"{HOST}:8443:[{own_address}]", f"{URL}/page")
    seen = dict(json.loads(run_tool(limited, tools, *command))["headers"])["X-Forwarded-For"]
    assert ipaddress.ip_address(seen) in ipaddress.ip_network(f"{own_address}/64", strict=False)


def test_concurrent_requests_of_a_client_are_limited(limited, client):
    """Of twelve concurrent requests of one client four are handled and the others get 429 at once."""
    seen = []

    def send():
        seen.append(limited.get("/page", headers={"X-Forwarded-For": client}, wait=1.5).status)

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(seen) == [200] * 4 + [429] * 8


def test_large_bodies_get_413(limited, client):
    """A body within BODY_KILOBYTES passes; a larger one gets 413."""
    for size, status in ((7_000, 200), (9_000, 413)):
        response = limited.get("/page", method="POST", headers={"X-Forwarded-For": client}, status=200)
        assert response.status == 200
        sent = limited.request("/page", "POST", json="a" * size, headers={"X-Forwarded-For": client})
        assert sent.status == status


@pytest.mark.parametrize(
    "partial_request",
    [
        b"GET /page HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ",
        b"POST /page HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000\r\n\r\na",
    ],
    ids=["headers", "body"],
)
def test_a_stalled_request_is_closed(limited, partial_request):
    """A connection on which a request stalls is closed after CLIENT_SECONDS."""
    with connect_tls(limited.https, HOST, CLIENT_SECONDS * 5) as connection:
        connection.sendall(partial_request)
        start = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(4096) == b""
    assert CLIENT_SECONDS - 0.5 < time.monotonic() - start < CLIENT_SECONDS * 3


def test_a_slow_body_does_not_reach_the_application(limited, client):
    """The application receives a slow body only when it is complete, and nginx writes no file for it."""
    before = limited.get("/page").json["number"]
    with connect_tls(limited.https, HOST) as connection:
        lines = ("POST /slow HTTP/1.1", f"Host: {HOST}", f"X-Forwarded-For: {client}", "Content-Length: 3")
        connection.sendall("\r\n".join([*lines, "Connection: close", "", "a"]).encode())
        assert limited.get("/page").json["number"] == before + 1
        assert limited.compose("exec", "-T", "nginx", "find", "/spool/bodies", "-type", "f").stdout == ""
        connection.sendall(b"bc")
        assert b'"length": 3' in wait_for(lambda: connection.recv(8192))
    assert limited.get("/page").json["number"] == before + 3


def test_an_invalid_setting_stops_nginx(limited):
    """Nginx does not start with an invalid setting and prints its name and the remedy."""
    command = ("run", "--rm", "--no-deps", "-T", "--env", "API_RATE=fast", "nginx")
    completed = limited.compose(*command, check=False)
    assert completed.returncode == 1
    assert "API_RATE: 'fast' is invalid. Use a whole number from 1 to 100000." in completed.stderr
