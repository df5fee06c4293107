"""What everybody asks for, at the speed of a file: the list from the micro-cache, with all that production has on."""

import re
import statistics

import pytest

from tests.stack.tool import URL, beside

ROUNDS, SECONDS = 5, 3
SHARE = 0.9
LIST = "/api/products"
FILE = "/static/list.0123456789ab.json"


@pytest.fixture(scope="module")
def rates(server, tools):
    """Measure in rounds, so that what else the machine does falls on both alike; return the requests/s of each."""
    whole = server.ask(LIST)
    place = server.folder / f"static/identity{FILE}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(whole.body)
    found = {LIST: [], FILE: []}
    try:
        assert server.ask(FILE).body == whole.body
        for _ in range(ROUNDS):
            for path, rate in found.items():
                rate.append(measure(server, tools, path))
    finally:
        place.unlink()
    return {path: statistics.median(rate) for path, rate in found.items()}


def measure(server, tools, path):
    """Return the requests/s that wrk reaches, by TLS, on 32 connections."""
    words = ("wrk", "--threads=1", "--connections=32", f"--duration={SECONDS}s", f"{URL}{path}")
    printed = beside(server, tools, *words)
    assert "Non-2xx" not in printed, printed
    assert "Socket errors" not in printed, printed
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])


def test_the_list_is_as_fast_as_a_file(rates, figure):
    """The cached list reaches 90 % of what the same Nginx reaches with the same bytes as a static file."""
    share = rates[LIST] / rates[FILE]
    figure(f"the list {rates[LIST]:.0f} requests/s, the same bytes as a file {rates[FILE]:.0f}: {share:.0%}")
    assert share >= SHARE
