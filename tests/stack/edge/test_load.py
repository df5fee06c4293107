"""Many quick requests: each is a new connection from nginx to web, and none may fail for want of a port."""

import http.client
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

REQUESTS, CLIENTS = 3000, 8


def test_ports_at_rest_are_used_again(running):
    """The kernel may use a port again that rests after its connection ended."""
    shown = running.compose("exec", "-T", "nginx", "cat", "/proc/sys/net/ipv4/tcp_tw_reuse").stdout
    assert shown.strip() == "1"


def test_three_thousand_quick_requests_all_succeed(running):
    """Three thousand requests through nginx, as fast as they go, are all answered with 200."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = pool.map(statuses, [running.port] * CLIENTS, [REQUESTS // CLIENTS] * CLIENTS)
    assert sum(shares, Counter()) == {200: REQUESTS}


def statuses(port, number):
    """Send requests on one connection and count the answers by status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seen = Counter()
    for _ in range(number):
        connection.request("GET", "/api/products")
        response = connection.getresponse()
        response.read()
        seen[response.status] += 1
    connection.close()
    return seen
