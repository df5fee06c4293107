"""What everybody asks for, at the speed of a file: the list from the micro-cache, with all that production has on."""

import re
import statistics

import pytest

from tests.support.stack.tool import URL, beside

ROUNDS, SECONDS = 8, 2
SHARE = 0.9
LIST = "/api/products"
FILE = "/static/list.0123456789ab.json"


@pytest.fixture(scope="module")
def rates(server, tools):
    """Measure both in rounds, in turn first, so that what else the machine does falls on both alike; the requests/s."""
    whole = server.ask(LIST)
    place = server.folder / f"static/identity{FILE}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(whole.body)
    found = {LIST: [], FILE: []}
    try:
        assert server.ask(FILE).body == whole.body
        for number in range(ROUNDS):
            for path in sorted(found, reverse=bool(number % 2)):
                found[path].append(measure(server, tools, path))
    finally:
        place.unlink()
    return found


def measure(server, tools, path):
    """Return the requests/s that wrk reaches, by TLS, on 32 connections."""
    words = ("wrk", "--threads=1", "--connections=32", f"--duration={SECONDS}s", f"{URL}{path}")
    printed = beside(server, tools, *words)
    assert "Non-2xx" not in printed, printed
    assert "Socket errors" not in printed, printed
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])


def test_the_list_is_as_fast_as_a_file(rates, figure):
    """The cached list reaches 90 % of what Nginx reaches with the same bytes as a file, in the median round."""
    share = statistics.median(ours / theirs for ours, theirs in zip(rates[LIST], rates[FILE], strict=True))
    ours, theirs = (statistics.median(rates[path]) for path in (LIST, FILE))
    figure(f"the list {ours:.0f} requests/s, the same bytes as a file {theirs:.0f}: {share:.0%}")
    assert share >= SHARE
