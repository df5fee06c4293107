"""Readiness probes, run in parallel within a deadline, and the flag that Gunicorn is draining."""

import logging
import mmap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from flask import Flask, g, has_app_context

from app.observability.redaction import describe

DEADLINE = 1.0  # seconds for all probes together

log = logging.getLogger(__name__)

# One byte of memory that the Gunicorn master shares with the workers it forks.
_draining = mmap.mmap(-1, 1)


@dataclass
class Probe:
    """Checks one backend. CHECK returns the backend's state and raises an exception if it is unusable."""

    name: str
    check: Callable[[], str]
    required: bool
    _running: Future[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, app: Flask) -> Future[str]:
        """Start a run or join the current one, so that a hanging backend blocks only one thread."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                thread = threading.Thread(
                    target=self._run,
                    args=(app, self._running, g.get("request_id") if has_app_context() else None),
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError as error:  # no thread available
                    self._running.set_exception(error)
            return self._running

    def _run(self, app: Flask, future: Future[str], request_id: str | None) -> None:
        try:
            with app.app_context():
                g.request_id = request_id
                self._check(future)
        except BaseException as error:  # noqa: BLE001 - an unfinished future would block every later run
            future.set_exception(error)

    def _check(self, future: Future[str]) -> None:
        try:
            future.set_result(self.check())
        except Exception as error:  # noqa: BLE001 - a backend's client may raise anything
            log.warning("probe %s failed: %s: %s", self.name, type(error).__name__, describe(error).partition("\n")[0])
            future.set_exception(error)


@dataclass(frozen=True)
class Readiness:
    """The result of each probe and the resulting status."""

    checks: dict[str, str]
    status: str

    @property
    def is_ready(self) -> bool:
        """Whether this process should receive requests; a degraded one should."""
        return self.status in {"ready", "degraded"}


def init_app(app: Flask) -> None:
    """Prepare the application's probes."""
    app.extensions.setdefault("probes", {})


def register(app: Flask, name: str, check: Callable[[], str], *, required: bool) -> None:
    """Add a probe. The application is not ready if a required one fails, and degraded if another fails."""
    registered: dict[str, Probe] = app.extensions.setdefault("probes", {})
    registered[name] = Probe(name, check, required)


def check_readiness(app: Flask) -> Readiness:
    """Run all probes; takes at most DEADLINE seconds."""
    probes: list[Probe] = list(app.extensions["probes"].values())
    running = [(probe, probe.start(app)) for probe in probes]
    deadline = time.monotonic() + DEADLINE
    checks, failed = {}, []
    for probe, future in running:
        checks[probe.name], succeeded = _wait_for_result(future, deadline)
        if not succeeded:
            failed.append(probe)
    return Readiness(checks, _get_status(failed))


def _wait_for_result(future: Future[str], deadline: float) -> tuple[str, bool]:
    try:
        return future.result(max(0.0, deadline - time.monotonic())), True
    except TimeoutError:
        return "timeout", False
    except Exception:  # noqa: BLE001 - already logged; the response never contains its text
        return "unavailable", False


def _get_status(failed: list[Probe]) -> str:
    if is_draining():
        return "draining"
    if any(probe.required for probe in failed):
        return "unavailable"
    return "degraded" if failed else "ready"


def start_draining() -> None:
    """Mark the Gunicorn master and its workers as not ready."""
    _draining[0] = 1


def is_draining() -> bool:
    """Whether Gunicorn is shutting down."""
    return _draining[0] == 1
