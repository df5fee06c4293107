"""The breaker: a backend that failed is left alone for a while, then tried by one caller."""

from contextlib import suppress

import pytest

from app.db.circuit_breaker import Breaker, OpenError
from tests.support.cache_fakes import Clock


class AwayError(Exception):
    """The backend did not answer."""


@pytest.fixture
def clock():
    """A time that the test moves."""
    return Clock()


@pytest.fixture
def breaker(clock):
    """A breaker that opens after three failures, for two seconds."""
    return Breaker(3, 2.0, clock)


def call(breaker, outcome=None):
    """Make a call through the breaker; return what became of it."""
    try:
        with breaker.guard(AwayError):
            if outcome:
                raise outcome
    except (AwayError, OpenError, KeyError) as error:
        return type(error)
    return "answered"


def fail(breaker, times):
    """Let the backend fail."""
    return [call(breaker, AwayError()) for _ in range(times)]


def test_closed_at_first(breaker):
    """Calls go through."""
    assert (breaker.state, call(breaker)) == ("closed", "answered")


def test_opens(breaker):
    """The third failure in a row opens it: the next caller is refused at once."""
    assert fail(breaker, 3) == [AwayError] * 3
    assert (breaker.state, call(breaker)) == ("open", OpenError)


def keep_silent(breaker):
    """Let the backend fail in the way that opens it at once."""
    with suppress(AwayError), breaker.guard(AwayError, decisive=(AwayError,)):
        raise AwayError


def test_decisive(breaker, clock):
    """A failure that nobody should wait for again opens it at the first."""
    assert call(breaker) == "answered"
    clock.now += 2.1
    keep_silent(breaker)
    assert call(breaker) is OpenError


def test_decisive_though_others_are_answered(breaker, clock):
    """While the backend answers others such a failure counts like any other."""
    assert call(breaker) == "answered"
    clock.now += 1.9
    keep_silent(breaker)
    assert breaker.state == "closed"


def test_failures_in_a_row(breaker):
    """An answer between the failures begins the count anew."""
    fail(breaker, 2)
    call(breaker)
    fail(breaker, 2)
    assert call(breaker) == "answered"


def test_other_errors_do_not_count(breaker):
    """An error that does not mean that the backend is away passes, and opens nothing."""
    assert [call(breaker, KeyError()) for _ in range(5)] == [KeyError] * 5
    assert breaker.state == "closed"


def test_another_error_is_an_answer(breaker, clock):
    """When the one who tries gets another error, the backend has answered, and the breaker closes."""
    fail(breaker, 3)
    clock.now += 2
    assert (call(breaker, KeyError()), breaker.state) == (KeyError, "closed")


def test_neutral_errors_show_nothing(breaker, clock):
    """An error that came before the backend was asked neither opens nor closes it."""
    fail(breaker, 3)
    clock.now += 2
    with pytest.raises(KeyError), breaker.guard(AwayError, neutral=(KeyError,)):
        raise KeyError
    assert breaker.state == "open"


def test_refused_for_the_pause(breaker, clock):
    """Until the pause is over nobody asks the backend."""
    fail(breaker, 3)
    clock.now += 1.99
    assert call(breaker) is OpenError


def test_recovers(breaker, clock):
    """After the pause a call that is answered closes it."""
    fail(breaker, 3)
    clock.now += 2
    assert call(breaker) == "answered"
    assert (breaker.state, call(breaker)) == ("closed", "answered")


def test_one_finds_out(breaker, clock):
    """While one caller tries, the others are still refused."""
    fail(breaker, 3)
    clock.now += 2
    with breaker.guard(AwayError):
        assert call(breaker) is OpenError
    assert call(breaker) == "answered"


def test_fails_again(breaker, clock):
    """When the one who tries fails, another pause begins."""
    fail(breaker, 3)
    clock.now += 2
    assert fail(breaker, 1) == [AwayError]
    clock.now += 1.99
    assert call(breaker) is OpenError
    clock.now += 0.01
    assert call(breaker) == "answered"


def test_one_who_never_returns(breaker, clock):
    """When the one who tries dies with another error, the next one may try a pause later."""
    fail(breaker, 3)
    clock.now += 2
    assert call(breaker, KeyError()) is KeyError
    clock.now += 2
    assert call(breaker) == "answered"
