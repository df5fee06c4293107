"""The frame around each command that changes what serves: lock, journal, putting back, history."""

from __future__ import annotations

import contextlib
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from ops.data import database
from ops.docker import commands, nginx
from ops.errors import Interrupted, OpsError
from ops.lock import locked
from ops.progress import Step, echo, step, wait_for
from ops.release import colours, history, journal, preflight
from ops.release.colours import Release
from ops.release.journal import FINISHED, Journal
from ops.release.traffic import Traffic
from ops.server import Server

LOCK_SECONDS = 120
GONE_SECONDS = 60
MET_BY_USERS = ("canary", "switch", "verify", "abort")  # at these steps nginx may send users to either colour


class Operation:
    """One command under way on a server."""

    def __init__(self, server: Server, state: Journal) -> None:
        self.server, self.state, self.began = server, state, time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Write down which step begins, then do it. What could not be written down has not begun."""
        self.write(replace(self.state, step=name))
        self.state.step = name
        with step(name) as current:
            yield current

    def write(self, state: Journal) -> None:
        """Write down how far it has come."""
        if not self.server.runner.dry:
            journal.write(self.server.journal_file, state)

    @property
    def seconds(self) -> float:
        """Return how long it has taken until now."""
        return time.monotonic() - self.began

    def record(self, result: str, **details: Any) -> None:
        """Add how it ended to the history."""
        if not self.server.runner.dry:
            record(self.server, self.state, result, seconds=round(self.seconds, 1), **details)


@contextlib.contextmanager
def operation(server: Server, command: str, found: Release, colour: str, stable: str) -> Iterator[Operation]:
    """Do a command under a journal; when it fails, users are with the STABLE colour again, and it is written down.

    Once the new colour was seen to serve, nothing is taken back: the journal stays, and the next command finishes it.
    """
    current = Operation(server, Journal(uuid.uuid4().hex, command, found.image, found.commit, colour, stable))
    current.write(current.state)
    try:
        yield current
    except (Exception, Interrupted, KeyboardInterrupt) as error:  # whatever it is, users come first
        text = str(error) or type(error).__name__
        echo(f"  {current.state.step} FAILED: {text}")
        if current.state.step in FINISHED:
            echo(f"  {found.commit} serves all the same; the next command will finish this one.")
            return
        _undo(current)
        current.record("failed", step=current.state.step, detail=text[:500])
        _end(server)
        raise OpsError(f"{command} stopped at “{current.state.step}”. {_who_serves(server)}") from error
    _end(server)


@contextlib.contextmanager
def exclusive(server: Server, purpose: str) -> Iterator[None]:
    """Hold the server's lock, and mend first what a killed command left behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        signal.signal(signal.SIGHUP, _interrupt)
    if server.runner.dry:
        yield
        return
    with locked(server.lock_file, purpose, LOCK_SECONDS) as descriptor:
        server.runner.inherit = (descriptor,)
        recover(server)
        yield


def recover(server: Server) -> None:
    """Finish or take back what a killed command left: one-off containers, the database's volume, the colour."""
    clear_one_offs(server)
    database.recover(server)
    state = journal.read(server.journal_file)
    if state is None:
        return
    with step(f"mend: {state.command} of {state.release} was interrupted at “{state.step}”") as current:
        colours.install_files(server, state.outcome)
        server.runner.execute(server.compose.start_stateful("nginx"))
        colours.revert_traffic(server, state.outcome)
        current.note = f"web-{state.outcome} serves"
    if state.outcome == state.colour and state.command != "abort":
        preflight.install(server, Release(state.image, state.release, colours.bundle_of(server, state.image)))
    if not _recorded(server, state):
        record(server, state, "ok" if state.outcome == state.colour else "interrupted", step=state.step)
    _end(server)


def clear_one_offs(server: Server) -> None:
    """Take away what a command has left working behind it, such as a migration."""
    wait_for(lambda: _without_one_offs(server), GONE_SECONDS, "What a command had started was not gone")


def _without_one_offs(server: Server) -> tuple[bool | None, str]:
    """Take away what is left; a container that has just ended is about to go by itself, and that is no failure."""
    left = server.runner.query(commands.one_offs(server.name)).split()
    return (None, server.runner.try_run(commands.remove_containers(left))) if left else (True, "")


def record(server: Server, state: Journal, result: str, **details: Any) -> None:
    """Add a command to the history."""
    known = {name: value for name, value in asdict(state).items() if name not in {"before", "step"}}
    history.add(server.history_file, {**known, "result": result, **details})


def _recorded(server: Server, state: Journal) -> bool:
    ends = ("ok", "failed", "interrupted")
    return any(
        entry.get("id") == state.id and entry["result"] in ends for entry in history.entries(server.history_file)
    )


def _undo(current: Operation) -> None:
    """Put users back to the colour that served; what cannot be put back is said, and left to the next command."""
    server, state = current.server, current.state
    if server.runner.dry:
        return
    try:
        with step("put back") as undone:
            clear_one_offs(server)
            if server.traffic != Traffic(state.before) or state.step in MET_BY_USERS:
                colours.revert_traffic(server, state.before)
            else:
                colours.stop(server, state.colour)
            undone.note = f"web-{state.before} serves"
    except (OpsError, OSError) as error:
        raise OpsError(f"It could not be put back: {error}\nRun: python3 -m ops status") from error


def _end(server: Server) -> None:
    if not server.runner.dry:
        server.journal_file.unlink(missing_ok=True)


def _who_serves(server: Server) -> str:
    if server.runner.dry:
        return ""
    answer = nginx.get_public(server, "/health/version")
    return f"From outside, /health/version answers: {answer}"


def _interrupt(number: int, _frame: Any) -> None:
    raise Interrupted(f"ops was told to stop ({signal.Signals(number).name}).")
