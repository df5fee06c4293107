"""The lock, tested with real processes: one command at a time, and its holder."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from ops.docker.runner import Runner
from ops.errors import PreconditionError
from ops.lock import holder, locked
from tests.support.helpers import ROOT, wait_for

HOLD = """
import sys
from pathlib import Path
from ops.lock import locked
from ops.docker.runner import Runner
with locked(Path(sys.argv[1]), "deploy of second", 1) as descriptor:
    print("held", flush=True)
    if len(sys.argv) > 2:
        Runner(inherit=(descriptor,)).query(["sh", "-c", f"echo $$ > {sys.argv[2]}; exec sleep 60"])
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    """The lock file."""
    return tmp_path / "lock"


@pytest.fixture
def hold(path):
    """Return a function that starts a process that holds the lock until its input is closed."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments):
            command = [sys.executable, "-c", HOLD, str(path), *map(str, arguments)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))
            stack.callback(process.kill)
            assert process.stdout.readline() == "held\n"
            return process

        yield begin


def test_second(path, hold):
    """A second command times out with the name of the holder."""
    process = hold()
    with (
        pytest.raises(PreconditionError, match=rf"deploy of second \(process {process.pid}, by "),
        locked(path, "another", 0.1),
    ):
        pytest.fail("it got the lock")


def test_refused_command_writes_nothing(path, hold):
    """A refused command does not overwrite the holder's name."""
    process = hold()
    with contextlib.suppress(PreconditionError), locked(path, "another", 0):
        pass
    assert f"process {process.pid}" in holder(path)


def test_ends(path, hold):
    """After the holder exits, the next command gets the lock; afterwards there is no holder."""
    process = hold()
    process.stdin.close()
    with locked(path, "another", 10):
        pass
    assert holder(path) == ""


def test_killed(path, hold):
    """Kill -9 of the holder releases the lock."""
    process = hold()
    process.kill()
    process.wait(10)
    with locked(path, "another", 0):
        pass


def test_child(path, hold, tmp_path):
    """A running child of a killed holder keeps the lock."""
    process = hold(tmp_path / "child")
    child = int(wait_for(lambda: (tmp_path / "child").read_text(encoding="utf-8")))
    process.kill()
    process.wait(10)
    try:
        assert holder(path)
        with pytest.raises(PreconditionError), locked(path, "another", 0):
            pytest.fail("it got the lock")
    finally:
        os.kill(child, signal.SIGKILL)
    with locked(path, "another", 10):
        pass


def test_other_children(path):
    """A command without `inherit` does not keep the lock open."""
    with locked(path, "this", 1) as descriptor:
        found = Runner().query(["sh", "-c", f"[ -e /proc/self/fd/{descriptor} ] && echo open || echo closed"])
    assert found == "closed\n"


def test_inherited(path):
    """The process that replaced the holder continues with the inherited descriptor."""
    with locked(path, "deploy, begun", 1) as first:
        given = os.dup(first)
        with locked(path, "deploy, continued", 0, given) as descriptor:
            assert descriptor == given
            assert "deploy, continued" in holder(path)


def test_no_lock_file(path):
    """Without a lock file there is no holder."""
    assert holder(path) == ""
