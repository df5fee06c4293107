"""Lines of progress, and waits that end."""

import sys

import pytest

from ops import progress
from ops.errors import OpsError


def test_step(capsys):
    """A step says that it begins, and at its end how long it took, and its note."""
    with progress.step("ready") as current:
        current.note = "two of two"
    assert capsys.readouterr().out == "  ready …\n  ready done in 0.0 s  two of two\n"


class Gone:
    """An output whose reader has gone away."""

    def write(self, _text):
        """It cannot be written to."""
        raise BrokenPipeError

    def flush(self):
        """Nor is anything left to write."""


def test_lost_connection(monkeypatch):
    """A deploy does not end in its middle because the connection that it prints to is lost."""
    monkeypatch.setattr(sys, "stdout", Gone())
    progress.echo("a line")


def test_wait():
    """The first thing found is returned."""
    found = iter([(None, "nothing"), (None, "nothing"), ("it", "")])
    assert progress.wait_for(lambda: next(found), 10, "it was not there") == "it"


def test_wait_has_an_end(clock):
    """When its time is over, it says what was waited for and what was last seen."""
    with pytest.raises(OpsError, match=r"It was not there within 30 s\. Last seen: 503"):
        progress.wait_for(lambda: (None, "503"), 30, "It was not there")
    assert 29 < clock.now <= 30


def test_in_a_row():
    """Only answers in a row count: one other one in between, and it begins again."""
    seen = [True, True, False, True, True, True]
    progress.wait_for_consecutive(lambda: (seen.pop(0), ""), 3, 10, "no")
    assert seen == []


def test_in_a_row_has_an_end(clock):
    """It too says what was last seen."""
    with pytest.raises(OpsError, match=r"No within 15 s\. Last seen: 502"):
        progress.wait_for_consecutive(lambda: (False, "502"), 3, 15, "No")
    assert 15 < clock.now < 16
