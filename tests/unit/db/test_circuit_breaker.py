"""The circuit breaker opens after consecutive failures, and lets one caller probe after each pause."""

from contextlib import suppress

import pytest

from app.db.circuit_breaker import CircuitBreaker, CircuitOpenError
from tests.support.cache_fakes import Clock


class BackendError(Exception):
    """The backend failed."""


@pytest.fixture
def clock():
    """A clock that the test advances."""
    return Clock()


@pytest.fixture
def breaker(clock):
    """A breaker that opens after three failures, for two seconds."""
    return CircuitBreaker(3, 2.0, clock)


def call(breaker, outcome=None):
    """Make a call through the breaker; return "success" or the type of the error."""
    try:
        with breaker.guard(BackendError):
            if outcome:
                raise outcome
    except (BackendError, CircuitOpenError, KeyError) as error:
        return type(error)
    return "success"


def fail(breaker, times):
    """Make calls that fail."""
    return [call(breaker, BackendError()) for _ in range(times)]


def test_closed_initially(breaker):
    """A new breaker lets calls through."""
    assert (breaker.state, call(breaker)) == ("closed", "success")


def test_opens(breaker):
    """The third consecutive failure opens the circuit, and the next call is refused at once."""
    assert fail(breaker, 3) == [BackendError] * 3
    assert (breaker.state, call(breaker)) == ("open", CircuitOpenError)


def trip(breaker):
    """Make a call that fails with a TRIP_ON error."""
    with suppress(BackendError), breaker.guard(BackendError, trip_on=(BackendError,)):
        raise BackendError


def test_trips(breaker, clock):
    """The first TRIP_ON failure opens the circuit."""
    assert call(breaker) == "success"
    clock.now += 2.1
    trip(breaker)
    assert call(breaker) is CircuitOpenError


def test_no_trip_after_recent_success(breaker, clock):
    """A TRIP_ON failure counts like any other while other calls succeed."""
    assert call(breaker) == "success"
    clock.now += 1.9
    trip(breaker)
    assert breaker.state == "closed"


def test_success_resets_the_count(breaker):
    """A success between failures restarts the count."""
    fail(breaker, 2)
    call(breaker)
    fail(breaker, 2)
    assert call(breaker) == "success"


def test_other_errors_do_not_count(breaker):
    """Errors other than FAILURE pass through and do not open the circuit."""
    assert [call(breaker, KeyError()) for _ in range(5)] == [KeyError] * 5
    assert breaker.state == "closed"


def test_another_error_is_a_success(breaker, clock):
    """A probe that raises another error closes the circuit, because the backend responded."""
    fail(breaker, 3)
    clock.now += 2
    assert (call(breaker, KeyError()), breaker.state) == (KeyError, "closed")


def test_ignored_errors_change_nothing(breaker, clock):
    """An IGNORE error neither opens nor closes the circuit."""
    fail(breaker, 3)
    clock.now += 2
    with pytest.raises(KeyError), breaker.guard(BackendError, ignore=(KeyError,)):
        raise KeyError
    assert breaker.state == "open"


def test_refused_during_the_pause(breaker, clock):
    """Calls are refused until the pause ends."""
    fail(breaker, 3)
    clock.now += 1.99
    assert call(breaker) is CircuitOpenError


def test_recovers(breaker, clock):
    """A successful call after the pause closes the circuit."""
    fail(breaker, 3)
    clock.now += 2
    assert call(breaker) == "success"
    assert (breaker.state, call(breaker)) == ("closed", "success")


def test_one_probe_at_a_time(breaker, clock):
    """While one caller probes, the others are still refused."""
    fail(breaker, 3)
    clock.now += 2
    with breaker.guard(BackendError):
        assert call(breaker) is CircuitOpenError
    assert call(breaker) == "success"


def test_failed_probe(breaker, clock):
    """A failed probe starts another pause."""
    fail(breaker, 3)
    clock.now += 2
    assert fail(breaker, 1) == [BackendError]
    clock.now += 1.99
    assert call(breaker) is CircuitOpenError
    clock.now += 0.01
    assert call(breaker) == "success"


def test_probe_that_never_returns(breaker, clock):
    """If a probe never ends, another caller may probe one pause later."""
    fail(breaker, 3)
    clock.now += 2
    with breaker.guard(BackendError):
        clock.now += 2
        assert call(breaker) == "success"
