"""The store away: every request is answered without it, and what it was not told it learns later."""

import pytest

from app.cache.stores.redis import UnavailableError
from tests.support.cache_site import Site


@pytest.fixture
def site():
    """A site whose answer is kept."""
    site = Site()
    site.get()
    return site


def test_answered_without_it(site):
    """The view answers, and Cache-Status says why the cache did not."""
    site.store.away = True
    answer = site.get()
    assert (answer.status_code, answer.text) == (200, "2")
    assert answer.headers["Cache-Status"] == "app; fwd=bypass; detail=unavailable"


def test_gone_while_computing(site):
    """A store that goes away during the computation takes nothing from the answer but the word `stored`."""
    site.view = lambda: setattr(site.store, "away", True) or "computed"
    answer = site.get("/thing/other")
    assert (answer.text, answer.headers["Cache-Status"]) == ("computed", "app; fwd=miss")


def test_forget_says_that_it_is_not_done(site):
    """Whoever forgets a tag learns that the others were not told."""
    site.store.away = True
    assert site.cache.forget(["things"]) is False


def test_forget_is_sent_later(site):
    """What could not be forgotten is forgotten before anything is read from the store again."""
    site.store.away = True
    site.cache.forget(["things"])
    site.store.away = False
    assert site.get().text == "2"
    assert site.said() == "app; hit; "


def test_sent_once(site):
    """What was sent is not sent with every request from then on."""
    site.store.away = True
    site.cache.forget(["things", "people"])
    site.store.away = False
    site.get()
    assert site.cache.tags.unsent == {}


def test_view_that_fails_meanwhile(site, logged):
    """A lock that cannot be opened is logged, and the view's own error goes on."""
    log = logged()

    def fail():
        site.store.away = True
        raise RuntimeError

    site.view = fail
    assert site.get("/thing/other").status_code == 500
    assert "lock could not be released" in " ".join(log.lines)


def test_statistics_fail(site):
    """Whoever asks for the statistics is told that there are none."""
    site.store.away = True
    with pytest.raises(UnavailableError):
        site.cache.statistics()


def test_counting_fails_in_silence(site):
    """Counts that cannot be added cost no request its answer."""
    site.store.away = True
    site.cache.flushed -= 10
    assert site.get().status_code == 200
