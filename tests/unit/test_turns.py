"""tests/support/stack/turns.py: which bad days a run tries, and that every one of them has its turn."""

from pathlib import Path
from types import SimpleNamespace

from tests.support.helpers import ROOT
from tests.support.stack import turns

DAYS = sorted(turns.BAD_DAYS)


class Item:
    """A test of a file, perhaps of a sweep; each is another one."""

    def __init__(self, file, number, sweep):
        self.path, self.number, self.sweep = Path(f"{file}.py"), number, sweep

    def get_closest_marker(self, _name):
        """Return what marks the sweep."""
        return self.sweep and SimpleNamespace(args=self.sweep)


def made(*files, sweep=None):
    """Return a test of each of these files."""
    return [Item(file, number, sweep) for number, file in enumerate(files)]


def tried(tests):
    """Return what a run tries of these tests."""
    others = turns.left_out(tests)
    return [test for test in tests if test not in others]


def test_every_bad_day_is_a_file():
    """A name that is none would be a turn for nothing."""
    assert [day for day in DAYS if not any((ROOT / "tests/stack").glob(f"*/{day}.py"))] == []


def test_so_many_days():
    """A run tries as many bad days as it is to, whole, and everything else."""
    tests = made(*DAYS, *DAYS, "test_start", "test_image")
    days = turns.bad_days(tried(tests))
    assert len(days) == turns.DAYS
    assert len(tried(tests)) == 2 * turns.DAYS + 2


def test_each_has_its_turn():
    """No day is left out for ever."""
    tests = made(*DAYS)
    assert {test.path.stem for _ in range(200) for test in tried(tests)} == turns.BAD_DAYS


def test_few_of_a_sweep():
    """Of a series a run tries so many, and each of them at some time."""
    tests = made(*["test_start"] * 7, sweep=(2, "kills"))
    assert len(tried(tests)) == 2
    assert {test.number for _ in range(200) for test in tried(tests)} == set(range(7))


def test_sweeps_do_not_mix():
    """Each name of a file has its own number."""
    tests = made(*["test_start"] * 3, sweep=(1, "kills")) + made(*["test_start"] * 3, sweep=(2, "pushes"))
    assert len(tried(tests)) == 3
