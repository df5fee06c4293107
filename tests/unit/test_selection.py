"""tests/support/selection.py: parts cover everything once, and a rotation is decided by the commit alone."""

import pytest

from tests.support.selection import part, rotation

SECONDS = {"a": 100, "b": 60, "c": 50, "d": 40, "e": 30, "f": 20}
COMMITS = [f"{number:x}" for number in range(6)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_cover_every_file_once(count):
    """The parts together hold each file exactly once."""
    files = [name for number in range(1, count + 1) for name in part(SECONDS, number, count)]
    assert sorted(files) == sorted(SECONDS)


def test_parts_take_about_the_same_time():
    """No part takes longer than the fair share plus the longest file."""
    longest = max(sum(SECONDS[name] for name in part(SECONDS, number, 3)) for number in (1, 2, 3))
    assert longest <= sum(SECONDS.values()) / 3 + max(SECONDS.values())


def test_a_rotation_fits_the_budget():
    """The chosen files take no longer than the budget."""
    assert all(sum(SECONDS[name] for name in rotation(SECONDS, commit, 150)) <= 150 for commit in COMMITS)


def test_a_rotation_is_the_same_for_the_same_commit():
    """Two runs on one commit choose the same files in the same order."""
    assert rotation(SECONDS, "5d1c7a", 120) == rotation(SECONDS, "5d1c7a", 120)


def test_every_file_is_first_for_some_commit():
    """Over many commits every file is chosen."""
    assert {rotation(SECONDS, commit, 100)[0] for commit in COMMITS} == set(SECONDS)


def test_no_file_fits():
    """A budget smaller than every file chooses none."""
    assert rotation(SECONDS, "0", 1) == []
