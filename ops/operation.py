"""The frame around each command that changes what serves: lock, journal, putting back, history."""

from __future__ import annotations

import contextlib
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from ops import check, commands, database, edge, history, journal, release
from ops.errors import Failure, Interrupted
from ops.journal import FINISHED, Journal
from ops.lock import locked
from ops.progress import Step, say, step, wait
from ops.release import Release
from ops.serving import Serving
from ops.site import Site

LOCK_SECONDS = 120
GONE_SECONDS = 60
MET_BY_USERS = ("canary", "switch", "verify", "abort")  # at these steps nginx may send users to either colour


class Operation:
    """One command under way on a server."""

    def __init__(self, site: Site, state: Journal) -> None:
        self.site, self.state, self.began = site, state, time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Write down which step begins, then do it. What could not be written down has not begun."""
        self.write(replace(self.state, step=name))
        self.state.step = name
        with step(name) as current:
            yield current

    def write(self, state: Journal) -> None:
        """Write down how far it has come."""
        if not self.site.runner.dry:
            journal.write(self.site.journal_file, state)

    @property
    def seconds(self) -> float:
        """Return how long it has taken until now."""
        return time.monotonic() - self.began

    def record(self, result: str, **details: Any) -> None:
        """Add how it ended to the history."""
        if not self.site.runner.dry:
            record(self.site, self.state, result, seconds=round(self.seconds, 1), **details)


@contextlib.contextmanager
def operation(site: Site, command: str, found: Release, colour: str, stable: str) -> Iterator[Operation]:
    """Do a command under a journal; when it fails, users are with the STABLE colour again, and it is written down.

    Once the new colour was seen to serve, nothing is taken back: the journal stays, and the next command finishes it.
    """
    current = Operation(site, Journal(uuid.uuid4().hex, command, found.image, found.commit, colour, stable))
    current.write(current.state)
    try:
        yield current
    except (Exception, Interrupted, KeyboardInterrupt) as error:  # whatever it is, users come first
        text = str(error) or type(error).__name__
        say(f"  {current.state.step} FAILED: {text}")
        if current.state.step in FINISHED:
            say(f"  {found.commit} serves all the same; the next command will finish this one.")
            return
        _undo(current)
        current.record("failed", step=current.state.step, detail=text[:500])
        _end(site)
        raise Failure(f"{command} stopped at “{current.state.step}”. {_who_serves(site)}") from error
    _end(site)


@contextlib.contextmanager
def exclusive(site: Site, purpose: str) -> Iterator[None]:
    """Hold the server's lock, and mend first what a killed command left behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        signal.signal(signal.SIGHUP, _interrupt)
    if site.runner.dry:
        yield
        return
    with locked(site.lock_file, purpose, LOCK_SECONDS) as descriptor:
        site.runner.inherit = (descriptor,)
        settle(site)
        yield


def settle(site: Site) -> None:
    """Finish or take back what a killed command left: one-off containers, the database's volume, the colour."""
    clear_one_offs(site)
    database.settle(site)
    state = journal.read(site.journal_file)
    if state is None:
        return
    with step(f"mend: {state.command} of {state.release} was interrupted at “{state.step}”") as current:
        release.lay_out(site, state.outcome)
        site.runner.change(site.compose.start_lasting("nginx"))
        release.put_back(site, state.outcome)
        current.note = f"web-{state.outcome} serves"
    if state.outcome == state.colour and state.command != "abort":
        check.install(site, Release(state.image, state.release, release.bundle_of(site, state.image)))
    if not _recorded(site, state):
        record(site, state, "ok" if state.outcome == state.colour else "interrupted", step=state.step)
    _end(site)


def clear_one_offs(site: Site) -> None:
    """Take away what a command has left working behind it, such as a migration."""
    wait(lambda: _without_one_offs(site), GONE_SECONDS, "What a command had started was not gone")


def _without_one_offs(site: Site) -> tuple[bool | None, str]:
    """Take away what is left; a container that has just ended is about to go by itself, and that is no failure."""
    left = site.runner.look(commands.one_offs(site.name)).split()
    return (None, site.runner.tell(commands.remove_containers(left))) if left else (True, "")


def record(site: Site, state: Journal, result: str, **details: Any) -> None:
    """Add a command to the history."""
    known = {name: value for name, value in asdict(state).items() if name not in {"before", "step"}}
    history.add(site.history_file, {**known, "result": result, **details})


def _recorded(site: Site, state: Journal) -> bool:
    ends = ("ok", "failed", "interrupted")
    return any(entry.get("id") == state.id and entry["result"] in ends for entry in history.entries(site.history_file))


def _undo(current: Operation) -> None:
    """Put users back to the colour that served; what cannot be put back is said, and left to the next command."""
    site, state = current.site, current.state
    if site.runner.dry:
        return
    try:
        with step("put back") as undone:
            clear_one_offs(site)
            if site.serving != Serving(state.before) or state.step in MET_BY_USERS:
                release.put_back(site, state.before)
            else:
                release.stop(site, state.colour)
            undone.note = f"web-{state.before} serves"
    except (Failure, OSError) as error:
        raise Failure(f"It could not be put back: {error}\nRun: python3 -m ops status") from error


def _end(site: Site) -> None:
    if not site.runner.dry:
        site.journal_file.unlink(missing_ok=True)


def _who_serves(site: Site) -> str:
    if site.runner.dry:
        return ""
    answer = edge.ask_outside(site, "/health/version")
    return f"From outside, /health/version answers: {answer}"


def _interrupt(number: int, _frame: Any) -> None:
    raise Interrupted(f"ops was told to stop ({signal.Signals(number).name}).")
