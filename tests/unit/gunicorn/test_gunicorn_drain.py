"""gunicorn.conf.py, when_ready: SIGTERM starts the drain, and a second one ends it."""

import mmap
import runpy
import signal

import pytest

from app.observability import probes
from tests.support.helpers import ROOT


class Server:
    """A fake master that records the signals passed to it."""

    def __init__(self):
        self.signals = []

    def signal(self, number, _frame):
        """Record the signal."""
        self.signals.append(number)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A ready master that drains for five minutes; the test process's signal handlers are restored at the end."""
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


def test_first_signal(server):
    """SIGTERM fails the readiness probe and sets the alarm; Gunicorn does not receive it yet."""
    signal.raise_signal(signal.SIGTERM)
    assert (probes.is_draining(), server.signals) == (True, [])
    assert 290 < signal.getitimer(signal.ITIMER_REAL)[0] <= 300


def test_alarm(server):
    """After the drain Gunicorn receives SIGTERM."""
    signal.raise_signal(signal.SIGALRM)
    assert server.signals == [signal.SIGTERM]


def test_second_signal(server):
    """A second SIGTERM reaches Gunicorn at once and cancels the alarm, which could kill the process."""
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)
    assert server.signals == [signal.SIGTERM]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
