"""scripts/bench.py: parsing wrk's output and printing the table."""

import importlib.util

import pytest

from tests.support.helpers import ROOT

specification = importlib.util.spec_from_file_location("bench", ROOT / "scripts/bench.py")
bench = importlib.util.module_from_spec(specification)
specification.loader.exec_module(bench)

OUTPUT = """Running 5s test @ http://nginx:8080/health
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.01ms    1.52ms  31.30ms   90.15%
    Req/Sec     3.22k   210.50     3.62k    76.00%
  Latency Distribution
     50%    4.83ms
     75%    5.60ms
     90%    6.51ms
     99%   11.02ms
  16035 requests in 5.00s, 3.81MB read
Requests/sec:   3206.11
Transfer/sec:    780.39KB
"""
FAILURES = """  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec: """


def test_read():
    """The output yields requests/s, p50 and p99 in milliseconds, and the failures."""
    assert bench.read(OUTPUT) == bench.Figure(3206.11, 4.83, 11.02, 0)


def test_failures_are_counted():
    """Every kind of failure counts."""
    assert bench.read(OUTPUT.replace("Requests/sec: ", FAILURES)).errors == 15


@pytest.mark.parametrize(("output", "milliseconds"), [("830.00us", 0.83), ("4.83ms", 4.83), ("1.20s", 1200)])
def test_units(output, milliseconds):
    """A latency in any unit becomes milliseconds."""
    assert bench.read(OUTPUT.replace("4.83ms", output)).p50 == pytest.approx(milliseconds)


def test_table(capsys):
    """The table has the median of each target and its share of plain WSGI."""
    ceiling = [bench.Figure(rate, 1, 2, 0) for rate in (900, 1000, 5000)]
    bench.show({"plain WSGI": ceiling, "write": [bench.Figure(250, 3, 4, 1)]})
    rows = capsys.readouterr().out.splitlines()
    assert rows[2:] == ["| plain WSGI | 1,000 | 100% | 1.0 | 2.0 | 0 |", "| write | 250 | 25% | 3.0 | 4.0 | 1 |"]
