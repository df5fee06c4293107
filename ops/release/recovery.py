"""One command at a time, and recovery from a killed one first."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from ops import progress
from ops.data import database
from ops.docker.one_offs import remove_one_offs
from ops.errors import Interrupted
from ops.lock import locked
from ops.release import state, traffic
from ops.release.deployment import Deployment
from ops.release.pipeline import BY_NAME, CUT_OVER, is_verified
from ops.server import Server

LOCK_SECONDS = 120


@contextlib.contextmanager
def exclusive(server: Server, purpose: str) -> Iterator[None]:
    """Hold the server's lock and recover from a killed command; SIGTERM and SIGHUP raise Interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # set by nohup
        signal.signal(signal.SIGHUP, _interrupt)
    with locked(server.lock_file, purpose, LOCK_SECONDS, server.lock_descriptor) as descriptor:
        server.runner.inherit = (descriptor,)
        recover(server)
        yield


def recover(server: Server) -> None:
    """Finish or undo what a killed command left: one-off containers, the database's volume, the release."""
    remove_one_offs(server)
    database.recover(server)
    journal = state.read_journal(server.journal_file)
    if journal:
        recover_release(Deployment.from_journal(server, journal))


def recover_release(deployment: Deployment) -> None:
    """Finish a verified release; undo any other."""
    journal = deployment.journal
    verified = is_verified(journal.step)
    active = journal.colour if verified else journal.before
    with progress.step(
        f"recover: {journal.command} of {journal.release} was interrupted at “{journal.step}”"
    ) as report:
        traffic.start_nginx(deployment.server, active)
        if verified:
            finish(deployment)
        elif journal.step in BY_NAME:
            BY_NAME[journal.step].undo(deployment)
        report.note = f"all traffic is on web-{active}"
    deployment.record_once("ok" if active == journal.colour else "interrupted", step=journal.step)
    deployment.close()


def finish(deployment: Deployment) -> None:
    """Switch again, since nginx may have restarted meanwhile, and run the steps that are left."""
    left = [name for name in CUT_OVER if is_verified(name)]
    traffic.switch(deployment)
    for name in left[left.index(deployment.journal.step) :]:
        BY_NAME[name].action(deployment)


def _interrupt(number: int, _frame: Any) -> None:
    raise Interrupted(f"ops received {signal.Signals(number).name}.")
