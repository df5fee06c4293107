"""The steps of a deploy as one list; rollback, canary, promote and abort are selections from it.

A failed step runs its undo, which reverts everything since `start`. Static files stay, and an applied migration is
never undone: Postgres rolls back one that fails. After a kill, the next command reads the journal and does the same.
From `record` on, all traffic is on the verified release: nothing is undone, and the next command finishes the rest.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

from ops import progress
from ops.data import database
from ops.docker import nginx
from ops.errors import Interrupted, OpsError
from ops.lock import locked
from ops.progress import echo
from ops.release import canary, colours, migrate, preflight, state, static_files, traffic
from ops.release.deployment import Deployment
from ops.server import Server


def no_op(_: object) -> None:
    """Do nothing: the default precondition and undo."""


@dataclass(frozen=True)
class Step:
    """One step: what must hold before the operation begins, what the step does, and how to undo it."""

    name: str
    action: Callable[[Deployment], str]  # returns a note for the output
    undo: Callable[[Deployment], None] = no_op
    precondition: Callable[[Server], None] = no_op
    after_verification: bool = False  # all traffic is on the verified release: finish, never undo


STEPS = (
    Step("preflight", preflight.run),
    Step("migrate", migrate.run),  # every undo removes the container of a running migration too
    Step("static", static_files.run),
    Step("start", colours.start, undo=traffic.undo_start, precondition=traffic.require_no_canary),
    Step("ready", colours.await_ready, undo=traffic.undo_start),
    Step("smoke", traffic.smoke, undo=traffic.undo_start),
    Step("canary", canary.run, undo=traffic.revert),
    Step("switch", traffic.switch, undo=traffic.revert),
    Step("verify", traffic.verify, undo=traffic.revert),
    Step("record", traffic.record, after_verification=True),
    Step("drain", traffic.drain, after_verification=True),
    Step("stop", traffic.stop_previous, after_verification=True),
    Step("abort", traffic.abort, undo=traffic.revert),
)
LOCK_SECONDS = 120
BY_NAME = {step.name: step for step in STEPS}
CUT_OVER = ("switch", "verify", "record", "drain", "stop")
COMMANDS = {
    "deploy": ("preflight", "migrate", "static", "start", "ready", "smoke", "canary", *CUT_OVER),
    "canary": ("preflight", "migrate", "static", "start", "ready", "smoke", "canary"),
    "promote": ("ready", "smoke", *CUT_OVER),
    "abort": ("abort",),
    "rollback": ("static", "start", "ready", "smoke", *CUT_OVER),
}


def require_preconditions(server: Server, command: str) -> None:
    """Raise PreconditionError unless every step of the command may begin."""
    for name in COMMANDS[command]:
        BY_NAME[name].precondition(server)


def run(deployment: Deployment) -> None:
    """Run the command's steps; raises OpsError when one fails."""
    names = COMMANDS[deployment.journal.command]
    steps = [BY_NAME[name] for name in names if name != "canary" or deployment.request.canary]
    deployment.save("begin")
    try:
        for step in steps:
            deployment.save(step.name)
            run_step(deployment, step)
        deployment.record_once("ok", seconds=deployment.seconds)  # a canary and an abort have no `record` step
    except (Exception, Interrupted, KeyboardInterrupt) as error:  # undo after any exception
        fail(deployment, str(error) or type(error).__name__)
        raise OpsError(
            f"{deployment.journal.command} stopped at “{deployment.journal.step}”. {_outcome(deployment)}"
        ) from error
    deployment.close()


def run_step(deployment: Deployment, step: Step) -> None:
    """Run one step and print its duration and note."""
    with progress.step(step.name) as report:
        report.note = step.action(deployment)


def fail(deployment: Deployment, error: str) -> None:
    """Undo the failed step, unless the release is verified, and record the failure."""
    step = deployment.journal.step
    echo(f"  {step} FAILED: {error}")
    if is_verified(step):
        with contextlib.suppress(OSError):  # a full disk may be the failure
            deployment.record("incomplete", step=step, detail=error[:500])
        return
    undo(deployment)
    deployment.record("failed", step=step, detail=error[:500], seconds=deployment.seconds)
    deployment.close()


def is_verified(step: str) -> bool:
    """Whether all traffic is on the verified new release when this step begins."""
    return step in BY_NAME and BY_NAME[step].after_verification


def undo(deployment: Deployment) -> None:
    """Undo the step in the journal; what fails here is left to the next command's recovery."""
    step = BY_NAME.get(deployment.journal.step)
    try:
        with progress.step("undo") as report:
            colours.remove_one_offs(deployment.server)
            (step.undo if step else no_op)(deployment)
            report.note = f"all traffic is on web-{deployment.journal.previous_colour}"
    except (OpsError, OSError) as error:
        raise OpsError(f"Undo failed: {error}\nRun: python3 -m ops status") from error


def _outcome(deployment: Deployment) -> str:
    if is_verified(deployment.journal.step):
        return f"All traffic is on {deployment.release.commit}, verified; the next command finishes the rest."
    return f"From outside, /health/version returns: {nginx.get_public(deployment.server, '/health/version')}"


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
    colours.remove_one_offs(server)
    database.recover(server)
    journal = state.read_journal(server.journal_file)
    if journal:
        recover_release(Deployment.from_journal(server, journal))


def recover_release(deployment: Deployment) -> None:
    """Finish a verified release; undo any other."""
    journal = deployment.journal
    verified = is_verified(journal.step)
    active = journal.colour if verified else journal.previous_colour
    with progress.step(f"recover: {journal.command} of {journal.commit} was interrupted at “{journal.step}”") as report:
        traffic.start_nginx(deployment.server, active)
        if verified:
            finish(deployment)
        elif journal.step in BY_NAME:
            BY_NAME[journal.step].undo(deployment)
        report.note = f"all traffic is on web-{active}"
    deployment.record_once("ok" if active == journal.colour else "interrupted", step=journal.step)
    deployment.close()


def finish(deployment: Deployment) -> None:
    """Switch again, since nginx may have restarted meanwhile, and run the remaining steps."""
    names = [name for name in CUT_OVER if is_verified(name)]
    traffic.switch(deployment)
    for name in names[names.index(deployment.journal.step) :]:
        BY_NAME[name].action(deployment)


def _interrupt(number: int, _frame: Any) -> None:
    raise Interrupted(f"ops received {signal.Signals(number).name}.")
