"""The journal: what is under way, for the next command to find."""

from dataclasses import replace

import pytest

from ops.release import journal
from ops.release.journal import Journal

BEGUN = Journal("1", "deploy", "shop@sha256:00", "second", "blue", "green")


def test_round_trip(tmp_path):
    """What is written is what is read, and nothing else is left there."""
    journal.write(tmp_path / "operation.json", BEGUN)
    assert journal.read(tmp_path / "operation.json") == BEGUN
    assert [path.name for path in tmp_path.iterdir()] == ["operation.json"]


def test_nothing_under_way(tmp_path):
    """Where there is none, nothing is under way."""
    assert journal.read(tmp_path / "operation.json") is None


@pytest.mark.parametrize("step", ["begin", "check", "migrate", "start", "ready", "smoke", "canary", "switch", "verify"])
def test_taken_back(step):
    """Until the new colour was seen to serve, the one from before is to serve."""
    assert replace(BEGUN, step=step).outcome == "green"


@pytest.mark.parametrize("step", ["record", "drain", "stop"])
def test_finished(step):
    """From then on it is the new one."""
    assert replace(BEGUN, step=step).outcome == "blue"
