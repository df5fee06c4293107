"""A circuit breaker: after repeated failures, reject calls to a backend for a while, then let one caller probe it."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CircuitOpenError(Exception):
    """The backend failed recently, so the call was rejected without an attempt."""


class CircuitBreaker:
    """Opens after FAILURES consecutive failures; every PAUSE seconds it lets one call through as a probe."""

    def __init__(
        self,
        failures: int,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
        on_state_change: Callable[[bool], object] = lambda _is_open: None,
    ) -> None:
        self.limit = failures
        self.pause = pause
        self.clock = clock
        self.on_state_change = on_state_change  # receives is_open; may be called again with the same state
        self.failed = 0
        self.retry_at = 0.0
        self.last_success = -math.inf
        self.lock = threading.Lock()

    @property
    def state(self) -> str:
        """Return "closed" while calls go through, else "open"."""
        return "open" if self.failed >= self.limit else "closed"

    @contextmanager
    def guard(
        self,
        failure: type[Exception],
        *,
        trip_on: tuple[type[Exception], ...] = (),
        ignore: tuple[type[Exception], ...] = (),
    ) -> Iterator[None]:
        """Run the block, or raise CircuitOpenError. Only FAILURE counts against the backend; others are a success.

        TRIP_ON failures took so long that no other caller should repeat them: the first one opens the circuit, unless
        a call succeeded within the last PAUSE seconds.

        IGNORE errors were raised before the backend was called, so they count neither as failures nor as successes.
        """
        self._admit()
        try:
            yield
        except failure as error:
            self._record_failure(trip=isinstance(error, trip_on))
            raise
        except ignore:
            raise
        except Exception:
            self._record_success()
            raise
        self._record_success()

    def _record_failure(self, *, trip: bool) -> None:
        with self.lock:
            now = self.clock()
            opens = trip and now - self.last_success > self.pause
            self.failed = max(self.failed + 1, self.limit if opens else 0)
            self.retry_at = now + self.pause
            self.on_state_change(self.failed >= self.limit)

    def _record_success(self) -> None:
        self.last_success = self.clock()
        if self.failed:
            with self.lock:
                self.failed = 0
                self.on_state_change(False)  # noqa: FBT003 - the callback's one argument is the state

    def _admit(self) -> None:
        if self.failed < self.limit:
            return
        with self.lock:
            if self.failed >= self.limit and self.clock() < self.retry_at:
                raise CircuitOpenError
            self.retry_at = self.clock() + self.pause  # this caller probes; others are still rejected
