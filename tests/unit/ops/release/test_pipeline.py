"""The list of steps: what every command selects from it, and what the documentation says about it."""

import re

import pytest

from ops.release import pipeline, traffic
from ops.release.pipeline import BY_NAME, COMMANDS, STEPS
from tests.support.helpers import ROOT

ORDER = [step.name for step in STEPS]


@pytest.mark.parametrize("command", COMMANDS)
def test_order(command):
    """Each command selects steps in the order of the list."""
    assert [name for name in ORDER if name in COMMANDS[command]] == list(COMMANDS[command])


def test_undo():
    """From `start` until verification each step has an undo; from `canary` on it reverts the traffic."""
    risky = ORDER[ORDER.index("start") : ORDER.index("record")]
    undos = {name: BY_NAME[name].undo for name in risky}
    assert pipeline.no_op not in undos.values()
    moved = risky[risky.index("canary") :]
    assert {undos[name] for name in moved} == {traffic.revert}


def test_verified_steps():
    """The steps after verification are the end of the cut-over."""
    verified = [step.name for step in STEPS if step.after_verification]
    assert verified == ["record", "drain", "stop"] == list(pipeline.CUT_OVER[-3:])


def test_documented_order():
    """docs/release-path.md shows the steps of a deploy in their order."""
    text = (ROOT / "docs/release-path.md").read_text(encoding="utf-8")
    shown = re.search(r"^ +pull → signature → unpack → (.*) → prune$", text, re.MULTILINE)[1]
    assert shown.replace("[canary]", "canary").split(" → ") == list(COMMANDS["deploy"])
