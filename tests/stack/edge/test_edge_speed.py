"""The micro-cached list performs like a static file, with every production feature enabled."""

import re
import statistics

import pytest

from tests.support.stack.tool import URL, run_tool

ROUNDS, SECONDS = 8, 2
MIN_SHARE = 0.9
LIST = "/api/products"
FILE = "/static/list.0123456789ab.json"


@pytest.fixture(scope="module")
def rates(server, tools):
    """Requests/s of the list and the file, measured in alternating rounds so that other load affects both alike."""
    response = server.request(LIST)
    file = server.folder / f"static/identity{FILE}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(response.body)
    rates_by_path = {LIST: [], FILE: []}
    try:
        assert server.request(FILE).body == response.body
        for number in range(ROUNDS):
            for path in sorted(rates_by_path, reverse=bool(number % 2)):
                rates_by_path[path].append(measure(server, tools, path))
    finally:
        file.unlink()
    return rates_by_path


def measure(server, tools, path):
    """Return wrk's requests/s with TLS and 32 connections."""
    command = ("wrk", "--threads=1", "--connections=32", f"--duration={SECONDS}s", f"{URL}{path}")
    output = run_tool(server, tools, *command)
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


@pytest.mark.guarantee(
    "The cached list reaches 90 % of the rate of a static file with the same bytes, with TLS and every limit on"
)
def test_the_cached_list_is_as_fast_as_a_file(rates, figure):
    """In the median round the cached list reaches 90 % of the rate of a static file with the same bytes."""
    share = statistics.median(
        list_rate / file_rate for list_rate, file_rate in zip(rates[LIST], rates[FILE], strict=True)
    )
    list_rate, file_rate = (statistics.median(rates[path]) for path in (LIST, FILE))
    figure(f"cached list {list_rate:.0f} requests/s, the same bytes as a file {file_rate:.0f}: {share:.0%}")
    assert share >= MIN_SHARE
