"""Many fast requests: each opens a connection from nginx to web, and none fails for lack of a port."""

import http.client
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

REQUESTS, CLIENTS = 3000, 8


def test_time_wait_ports_are_reused(running):
    """Nginx' container sets tcp_tw_reuse."""
    setting = running.compose("exec", "-T", "nginx", "cat", "/proc/sys/net/ipv4/tcp_tw_reuse").stdout
    assert setting.strip() == "1"


def test_three_thousand_quick_requests_all_succeed(running):
    """Three thousand requests through nginx, as fast as possible, all get 200."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = pool.map(statuses, [running.port] * CLIENTS, [REQUESTS // CLIENTS] * CLIENTS)
    assert sum(shares, Counter()) == {200: REQUESTS}


def statuses(port, number):
    """Send requests on one connection and count the responses by status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    counts = Counter()
    for _ in range(number):
        connection.request("GET", "/api/products")
        response = connection.getresponse()
        response.read()
        counts[response.status] += 1
    connection.close()
    return counts
