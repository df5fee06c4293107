"""Step output and polling."""

import sys

import pytest

from ops import progress
from ops.errors import OpsError


def test_step(capsys):
    """A step prints its beginning, its duration and its note."""
    with progress.step("ready") as current:
        current.note = "two of two"
    assert capsys.readouterr().out == "  ready …\n  ready done in 0.0 s  two of two\n"


class ClosedOutput:
    """An output whose reader has disconnected."""

    def write(self, _text):
        """Fail like a closed pipe."""
        raise BrokenPipeError

    def flush(self):
        """There is nothing to flush."""


def test_lost_connection(monkeypatch):
    """A lost connection does not interrupt a deploy."""
    monkeypatch.setattr(sys, "stdout", ClosedOutput())
    progress.echo("a line")


def test_wait_for():
    """The first value is returned."""
    found = iter([(None, "nothing"), (None, "nothing"), ("it", "")])
    assert progress.wait_for(lambda: next(found), 10, "it was not there") == "it"


def test_wait_for_timeout(clock):
    """After the timeout, the error has the last observation."""
    with pytest.raises(OpsError, match=r"It was not there within 30 s\. Last seen: 503"):
        progress.wait_for(lambda: (None, "503"), 30, "It was not there")
    assert 29 < clock.now <= 30


def test_consecutive():
    """Only consecutive successes count."""
    seen = [True, True, False, True, True, True]
    progress.wait_for_consecutive(lambda: (seen.pop(0), ""), 3, 10, "no")
    assert seen == []


def test_consecutive_timeout(clock):
    """After the timeout, the error has the last observation."""
    with pytest.raises(OpsError, match=r"No within 15 s\. Last seen: 502"):
        progress.wait_for_consecutive(lambda: (False, "502"), 3, 15, "No")
    assert 15 < clock.now < 16
