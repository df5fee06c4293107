"""gunicorn.conf.py, when_ready: what SIGTERM begins, and what a second one ends."""

import mmap
import runpy
import signal

import pytest

from app.observability import probes
from tests.support.helpers import ROOT


class Server:
    """Takes the master's place and remembers the signals that were handed on to it."""

    def __init__(self):
        self.signals = []

    def signal(self, number, _frame):
        """Remember."""
        self.signals.append(number)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A master that is ready, with five minutes to drain; the process's own signals are put back at the end."""
    monkeypatch.setattr(probes, "_draining", mmap.mmap(-1, 1))
    monkeypatch.setenv("DRAIN_SECONDS", "300")
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    server = Server()
    runpy.run_path(str(ROOT / "gunicorn.conf.py"))["when_ready"](server)
    yield server
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_first_signal_drains(server):
    """SIGTERM turns readiness off and sets the alarm, and Gunicorn hears nothing yet."""
    signal.raise_signal(signal.SIGTERM)
    assert (probes.draining(), server.signals) == (True, [])
    assert 290 < signal.getitimer(signal.ITIMER_REAL)[0] <= 300


def test_alarm_stops(server):
    """When the time is over Gunicorn gets its SIGTERM."""
    signal.raise_signal(signal.SIGALRM)
    assert server.signals == [signal.SIGTERM]


def test_second_signal_stops_and_leaves_no_alarm(server):
    """A second SIGTERM is Gunicorn's at once, and no alarm is left that could end the process from outside."""
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)
    assert server.signals == [signal.SIGTERM]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
