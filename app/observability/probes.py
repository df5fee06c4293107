"""Readiness: named probes, run side by side, each within a deadline; and the flag of a process that is stopping."""

import logging
import mmap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from flask import Flask, g, has_app_context

from app.observability.redaction import describe

DEADLINE = 1.0  # seconds for all probes together, as they run side by side

log = logging.getLogger(__name__)

# One byte that the Gunicorn master shares with the workers it forks: set once, when it is told to stop.
_draining = mmap.mmap(-1, 1)


@dataclass
class Probe:
    """A question to a backend. CHECK returns a word for its state, and raises when the backend is of no use."""

    name: str
    check: Callable[[], str]
    essential: bool
    _running: Future[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, app: Flask) -> Future[str]:
        """Begin a run, or join the one under way: a backend that hangs holds one thread, however often it is asked."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                begun = threading.Thread(
                    target=self._run,
                    args=(app, self._running, g.get("request_id") if has_app_context() else None),
                    daemon=True,
                )
                try:
                    begun.start()
                except RuntimeError as error:  # no thread to be had: not an answer, and no reason to hang for ever
                    self._running.set_exception(error)
            return self._running

    def _run(self, app: Flask, future: Future[str], request_id: str | None) -> None:
        try:
            with app.app_context():
                g.request_id = request_id
                self._answer(future)
        except BaseException as error:  # noqa: BLE001 - a future without an end would hang every probe to come
            future.set_exception(error)

    def _answer(self, future: Future[str]) -> None:
        try:
            future.set_result(self.check())
        except Exception as error:  # noqa: BLE001 - whatever a backend does, the answer is a word
            log.warning("probe %s failed: %s: %s", self.name, type(error).__name__, describe(error).partition("\n")[0])
            future.set_exception(error)


@dataclass(frozen=True)
class Report:
    """What the probes saw: a word for each, and whether this process should be sent requests."""

    checks: dict[str, str]
    status: str

    @property
    def ready(self) -> bool:
        """Whether requests can be served, if with less comfort (degraded)."""
        return self.status in {"ready", "degraded"}


def init_app(app: Flask) -> None:
    """Make room for the probes that other concerns register."""
    app.extensions.setdefault("probes", {})


def register(app: Flask, name: str, check: Callable[[], str], *, essential: bool) -> None:
    """Add a probe. Without an essential one the application is not ready; without another it is degraded."""
    registered: dict[str, Probe] = app.extensions.setdefault("probes", {})
    registered[name] = Probe(name, check, essential)


def report(app: Flask) -> Report:
    """Ask every probe and wait for all of them, at most DEADLINE seconds in all."""
    probes: list[Probe] = list(app.extensions["probes"].values())
    running = [(probe, probe.start(app)) for probe in probes]
    deadline = time.monotonic() + DEADLINE
    checks, failed = {}, []
    for probe, future in running:
        checks[probe.name], well = _word(future, deadline)
        if not well:
            failed.append(probe)
    return Report(checks, _status(failed))


def _word(future: Future[str], deadline: float) -> tuple[str, bool]:
    try:
        return future.result(max(0.0, deadline - time.monotonic())), True
    except TimeoutError:
        return "timeout", False
    except Exception:  # noqa: BLE001 - logged where it was raised; outsiders get a word, never its text
        return "unavailable", False


def _status(failed: list[Probe]) -> str:
    if draining():
        return "draining"
    if any(probe.essential for probe in failed):
        return "unavailable"
    return "degraded" if failed else "ready"


def drain() -> None:
    """Say from now on, in this process and all that share its memory, that no new request should be sent here."""
    _draining[0] = 1


def draining() -> bool:
    """Whether the server was told to stop."""
    return _draining[0] == 1
