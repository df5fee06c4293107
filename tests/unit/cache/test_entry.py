"""An entry survives serialisation unchanged, and is refreshed at random shortly before it expires."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.entry import Entry

TEXT = st.text(st.characters(codec="utf-8"))
SECONDS = st.floats(0, 1e10)
ENTRIES = st.builds(
    Entry,
    body=st.binary(),
    headers=st.lists(st.lists(TEXT, min_size=2, max_size=2)),
    versions=st.lists(TEXT),
    fresh_until=SECONDS,
    cost=SECONDS,
)


def refresh_rate(cost, remaining, times=4000):
    """Return how often an entry that took COST seconds should be refreshed with REMAINING seconds left."""
    entry = Entry(b"", [], [], 1000.0, cost)
    return mean(entry.should_refresh(1000.0 - remaining) for _ in range(times))


@given(entry=ENTRIES)
def test_round_trip(entry):
    """`unpack` returns the entry that `pack` serialised, whatever the body's bytes are."""
    assert Entry.unpack(entry.pack()) == entry


def test_to_response():
    """The response of an entry has its body, its headers and no others."""
    response = Entry(b"{}", [["Content-Type", "application/json"], ["ETag", '"a"']], [], 0, 0).to_response()
    assert response.get_data() == b"{}"
    assert sorted(response.headers) == [("Content-Length", "2"), ("Content-Type", "application/json"), ("ETag", '"a"')]


def test_expired_entry_should_refresh():
    """An expired entry should always be refreshed."""
    entry = Entry(b"", [], [], 1000.0, 0.0)
    assert [entry.should_refresh(now) for now in (999.99, 1000.0, 1000.01)] == [False, True, True]


@pytest.mark.parametrize(("cost", "remaining", "rate"), [(1.0, 1.0, 0.368), (1.0, 2.0, 0.135), (0.1, 1.0, 0.0)])
def test_early_refresh(cost, remaining, rate):
    """Before it expires, an entry should be refreshed with a probability of e^(-remaining/cost)."""
    random.seed(7)
    assert refresh_rate(cost, remaining) == pytest.approx(rate, abs=0.03)
