"""What one client may take, and what it is told when it takes more; no other client notices."""

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
from tests.support.stack.tool import URL, address, beside

NUMBERS = itertools.count(1)
SLOW = 2  # seconds


@pytest.fixture(scope="module")
def limited(new_edge):
    """Return Nginx with small limits, behind a CDN that says who asks: the tests."""
    return new_edge(
        CDN_NETWORKS=CDN,
        API_RATE=2,
        TOKEN_RATE=1,
        SIGN_IN_RATE=6,
        CLIENT_REQUESTS=4,
        CLIENT_SECONDS=SLOW,
        BODY_KILOBYTES=8,
    )


@pytest.fixture
def client():
    """Return an address that no other test has."""
    return f"203.0.113.{next(NUMBERS)}"


def statuses(edge, number, client, path="/api/x", **options):
    """Ask so many times and return the answers by status."""
    headers = {"X-Forwarded-For": client}
    answers = [edge.get(path, headers=headers, **options) for _ in range(number)]
    return {status: [answer for answer in answers if answer.status == status] for status in (200, 429)}


def test_a_client_that_asks_too_often_is_told_when_to_come_again(limited, client):
    """Beyond the burst a client gets 429, a problem document, and Retry-After; after that it is served again."""
    seen = statuses(limited, 25, client)
    assert len(seen[200]) >= 5
    assert len(seen[429]) >= 5
    refused = seen[429][-1]
    assert is_problem(refused, 429)
    assert refused.json["title"] == "Too Many Requests"
    time.sleep(int(refused.headers["Retry-After"]))  # what it was told, and no condition can be waited for instead
    assert limited.get("/api/x", headers={"X-Forwarded-For": client}).status == 200


def test_others_do_not_notice(limited, client):
    """While one client is refused, another one is served."""
    assert statuses(limited, 20, client)[429]
    assert len(statuses(limited, 5, "198.51.100.7")[200]) == 5


def test_pages_are_not_counted(limited, client):
    """The limit of the API counts no page and no file."""
    assert len(statuses(limited, 30, client, "/page")[200]) == 30


def test_tokens_are_counted_more_strictly(limited, client):
    """Who shows a token, on whatever path, is refused earlier."""
    seen = statuses(limited, 15, client, "/page", token="guess")
    assert len(seen[429]) >= 5


def test_signing_in_is_counted_by_the_minute(limited, client):
    """Attempts to sign in are refused after a few, with the time until the next one; to look at the page is none."""
    seen = statuses(limited, 10, client, "/login", method="POST")
    assert 5 < len(seen[200]) < 8
    assert {answer.headers["Retry-After"] for answer in seen[429]} == {"13"}
    assert len(statuses(limited, 10, client, "/login")[200]) == 10


@pytest.mark.parametrize("path", ["/api//tokens", "/api/./tokens/", "/%6cogin", "/login/"])
def test_no_spelling_gets_past_it(limited, client, path):
    """Another spelling of the path is the same path."""
    assert statuses(limited, 10, client, path, method="POST")[429]


def test_one_customers_ipv6_network_is_one_client(limited):
    """Who takes another address of the same /64 for each request is refused, and the next /64 is another client."""
    answers = [limited.get("/api/x", headers={"X-Forwarded-For": f"2001:db8:0:7::{n}:1"}).status for n in range(25)]
    assert answers.count(429) >= 5
    assert limited.get("/api/x", headers={"X-Forwarded-For": "2001:db8:0:8::1"}).status == 200


def test_ipv4_in_the_form_of_ipv6_is_as_many_clients(limited):
    """What a load balancer writes as ::ffff:203.0.113.1 is that address, and not one client for all of them."""
    answers = [limited.get("/api/x", headers={"X-Forwarded-For": f"::ffff:192.0.2.{n}"}).status for n in range(1, 26)]
    assert set(answers) == {200}


def test_who_comes_by_ipv6_is_seen_by_that_address(limited, tools):
    """By IPv6 each client is itself: the application is told its address, and not Docker's."""
    mine = address(limited, "GlobalIPv6Address")
    words = ("curl", "--silent", "--insecure", "--resolve", f"{HOST}:8443:[{mine}]", f"{URL}/page")
    told = dict(json.loads(beside(limited, tools, *words))["headers"])["X-Forwarded-For"]
    assert ipaddress.ip_address(told) in ipaddress.ip_network(f"{mine}/64", strict=False)


def test_a_client_may_not_fill_the_application(limited, client):
    """Of many requests of one client at the same time, four are handled and the others refused at once."""
    seen = []

    def ask():
        seen.append(limited.get("/page", headers={"X-Forwarded-For": client}, wait=1.5).status)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(seen) == [200] * 4 + [429] * 8


def test_a_body_may_have_so_many_kilobytes(limited, client):
    """A body within the limit passes, one above it gets 413."""
    for size, status in ((7_000, 200), (9_000, 413)):
        answer = limited.get("/page", method="POST", headers={"X-Forwarded-For": client}, status=200)
        assert answer.status == 200
        sent = limited.ask("/page", "POST", json="a" * size, headers={"X-Forwarded-For": client})
        assert sent.status == status


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /page HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ",
        b"POST /page HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000\r\n\r\na",
    ],
    ids=["headers", "body"],
)
def test_a_client_that_does_not_go_on_is_given_up(limited, begun):
    """A connection on which nothing more comes is closed after the time that is set."""
    with connect_tls(limited.https, HOST, SLOW * 5) as connection:
        connection.sendall(begun)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(4096) == b""
    assert SLOW - 0.5 < time.monotonic() - began < SLOW * 3


def test_a_slow_body_does_not_reach_the_application(limited, client):
    """Of a body that trickles in, the application hears nothing until it is whole, and no file is made."""
    before = limited.get("/page").json["number"]
    with connect_tls(limited.https, HOST) as connection:
        lines = ("POST /slow HTTP/1.1", f"Host: {HOST}", f"X-Forwarded-For: {client}", "Content-Length: 3")
        connection.sendall("\r\n".join([*lines, "Connection: close", "", "a"]).encode())
        assert limited.get("/page").json["number"] == before + 1
        assert limited.compose("exec", "-T", "nginx", "find", "/spool/bodies", "-type", "f").stdout == ""
        connection.sendall(b"bc")
        assert b'"length": 3' in wait_for(lambda: connection.recv(8192))
    assert limited.get("/page").json["number"] == before + 3


def test_a_setting_that_is_no_good_stops_nginx(limited):
    """Nginx does not start with a value that it cannot use, and says which setting it is, and what will do."""
    words = ("run", "--rm", "--no-deps", "-T", "--env", "API_RATE=fast", "nginx")
    done = limited.compose(*words, check=False)
    assert done.returncode == 1
    assert "API_RATE: 'fast' cannot be used. Give a whole number from 1 to 100000." in done.stderr
