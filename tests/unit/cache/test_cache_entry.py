"""A stored answer: nothing is lost on the way into the store and back, and it is renewed a little early by chance."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.entry import Entry

WORDS = st.text(st.characters(codec="utf-8"))
SECONDS = st.floats(0, 1e10)
ENTRIES = st.builds(
    Entry,
    body=st.binary(),
    headers=st.lists(st.lists(WORDS, min_size=2, max_size=2)),
    words=st.lists(WORDS),
    fresh_until=SECONDS,
    cost=SECONDS,
)


def due_share(cost, left, times=4000):
    """Return how often an entry that cost COST seconds is due when it is fresh for LEFT more."""
    entry = Entry(b"", [], [], 1000.0, cost)
    return mean(entry.due(1000.0 - left) for _ in range(times))


@given(entry=ENTRIES)
def test_round_trip(entry):
    """What is packed is unpacked as it was, whatever bytes the body has."""
    assert Entry.unpack(entry.pack()) == entry


def test_response_is_the_answer():
    """The answer that is made of an entry has its bytes, its headers and no other."""
    response = Entry(b"{}", [["Content-Type", "application/json"], ["ETag", '"a"']], [], 0, 0).response()
    assert response.get_data() == b"{}"
    assert sorted(response.headers) == [("Content-Length", "2"), ("Content-Type", "application/json"), ("ETag", '"a"')]


def test_expired_is_due():
    """From the moment that it ends, an entry is always due."""
    entry = Entry(b"", [], [], 1000.0, 0.0)
    assert [entry.due(now) for now in (999.99, 1000.0, 1000.01)] == [False, True, True]


@pytest.mark.parametrize(("cost", "left", "chance"), [(1.0, 1.0, 0.368), (1.0, 2.0, 0.135), (0.1, 1.0, 0.0)])
def test_early_refresh(cost, left, chance):
    """Before its end an entry is due with a chance of e^(-left/cost): the dearer and the nearer, the likelier."""
    random.seed(7)
    assert due_share(cost, left) == pytest.approx(chance, abs=0.03)
