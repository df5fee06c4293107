"""One operation on a server, passed to each step: request, release, colours and journal."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ops.release import history, state
from ops.release.bundle import Release, bundle_of
from ops.release.state import Journal
from ops.server import Server

RESULTS = ("ok", "failed", "interrupted")


@dataclass(frozen=True)
class CanaryPolicy:
    """The canary's share in percent, its duration, and the error budget: percent beyond the other colour's errors."""

    percent: int
    seconds: float
    budget: float


@dataclass(frozen=True)
class DeployRequest:
    """The options of a command that changes the active release."""

    image: str
    commit: str = ""
    allow_contract: bool = False
    ready_seconds: float = 60
    canary: CanaryPolicy | None = None


@dataclass
class Deployment:
    """An operation under way; the journal survives a kill, the rest does not."""

    server: Server
    request: DeployRequest
    release: Release
    journal: Journal
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def new(cls, server: Server, command: str, request: DeployRequest, release: Release) -> Deployment:
        """Return an operation whose target is the idle colour, or the active one for an abort."""
        previous = server.traffic.colour
        colour = previous if command == "abort" else server.traffic.other
        journal = Journal(uuid.uuid4().hex, command, release.image, release.commit, colour, previous)
        return cls(server, request, release, journal)

    @classmethod
    def from_journal(cls, server: Server, journal: Journal) -> Deployment:
        """Return the operation that a killed process left."""
        release = Release(journal.image, journal.commit, bundle_of(server, journal.image))
        return cls(server, DeployRequest(journal.image), release, journal)

    @property
    def seconds(self) -> float:
        """Seconds since the operation began."""
        return round(time.monotonic() - self.started, 1)

    def save(self, step: str) -> None:
        """Write the step to the journal before it begins; a step that cannot be written has not begun."""
        journal = replace(self.journal, step=step)
        self.server.runner.call("", state.write_journal, self.server.journal_file, journal)
        self.journal = journal

    def close(self) -> None:
        """Delete the journal: the operation has ended."""
        self.server.runner.call("", self.server.journal_file.unlink)

    def record(self, result: str, **details: Any) -> None:
        """Append the result to the history."""
        journal = asdict(self.journal)
        entry = {name: journal[name] for name in ("id", "command", "image")}
        entry.update(release=self.journal.commit, colour=self.journal.colour, result=result, **details)
        self.server.runner.call("", history.add, self.server.history_file, entry)

    def record_once(self, result: str, **details: Any) -> None:
        """Append the final result unless a killed process already did."""
        entries = history.entries(self.server.history_file)
        if not any(entry.get("id") == self.journal.id and entry["result"] in RESULTS for entry in entries):
            self.record(result, **details)
