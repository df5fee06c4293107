"""A circuit breaker: a backend that failed some times in a row is left alone for a while, then tried by one caller."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class OpenError(Exception):
    """The backend failed a moment ago and is not asked again yet."""


class Breaker:
    """Opens after FAILURES failures in a row, for PAUSE seconds; then one call is let through to find out."""

    def __init__(
        self,
        failures: int,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[bool], object] = lambda _open: None,
    ) -> None:
        self.limit = failures
        self.pause = pause
        self.clock = clock
        self.told = told  # hears whether it is open, each time that this may have changed, or is shown again
        self.failed = 0
        self.retry_at = 0.0
        self.answered_at = -math.inf
        self.lock = threading.Lock()

    @property
    def state(self) -> str:
        """Return "closed" when calls go through, else "open"."""
        return "open" if self.failed >= self.limit else "closed"

    @contextmanager
    def guard(
        self,
        failure: type[Exception],
        *,
        decisive: tuple[type[Exception], ...] = (),
        neutral: tuple[type[Exception], ...] = (),
        proves: bool = True,
    ) -> Iterator[None]:
        """Run the block unless the breaker is open (then raise OpenError); count FAILURE against the backend.

        DECISIVE failures took so long that nobody should wait for another one: the first opens it, unless the backend
        has answered somebody else within the last PAUSE seconds.

        NEUTRAL errors show nothing: the backend was not asked.

        PROVES: that the block ends without FAILURE shows that the backend is well.
        """
        self._admit()
        try:
            yield
        except failure as error:
            with self.lock:
                now = self.clock()
                alone = isinstance(error, decisive) and now - self.answered_at > self.pause
                self.failed = max(self.failed + 1, self.limit if alone else 0)
                self.retry_at = now + self.pause
                self.told(self.failed >= self.limit)
            raise
        except neutral:
            raise
        except Exception:
            self._answered(proves=proves)  # what went wrong is not that it is away
            raise
        self._answered(proves=proves)

    def _answered(self, *, proves: bool) -> None:
        if not proves:
            return
        self.answered_at = self.clock()
        if self.failed:
            with self.lock:
                self.failed = 0
                self.told(False)  # noqa: FBT003 - open or not is all there is to tell

    def _admit(self) -> None:
        if self.failed < self.limit:
            return
        with self.lock:
            if self.failed >= self.limit and self.clock() < self.retry_at:
                raise OpenError
            self.retry_at = self.clock() + self.pause  # this caller finds out; the others go on waiting
