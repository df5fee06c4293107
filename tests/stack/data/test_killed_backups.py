"""After a kill at any moment the next backup or restore works, and no incomplete backup is used."""

import contextlib
import os
import random
import signal
import subprocess

import pytest

from tests.stack.data.test_restore import volume
from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(600)
BACKUP_SECONDS = 6  # roughly the duration of a base backup and a dump
BACKUPS, RESTORES = 7, 3  # how often each is killed
RANDOM = random.SystemRandom()


def path(backup):
    """Return a backup's path in the backup folder."""
    return f"dumps/{backup['name']}" if backup["kind"] == "dump" else f"{backup['lineage']}/base/{backup['name']}"


def kill_after(seconds, process):
    """Kill a command and its children after some seconds, unless it has ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)


@pytest.mark.guarantee("A backup or restore killed at any moment leaves no broken backup and no broken database")
def test_killed_backups(data):
    """After kill -9 of the command and its container at random moments, every listed backup is intact."""
    before = [path(backup) for backup in data.backups()]
    for _ in range(BACKUPS):
        kill_after(RANDOM.uniform(0, BACKUP_SECONDS), data.start_ops("backup", start_new_session=True))
        docker("kill", "--signal", "KILL", f"{data.name}-backup-1")
        data.compose("up", "--detach", "--no-deps", "backup")
    data.ops("backup")
    after = [path(backup) for backup in data.backups()]
    assert set(before) < set(after)
    for backup in after:
        argv = ("bash", "/opt/backup/restore.sh", "verify", backup)
        data.compose("exec", "-T", "backup", *argv)
    assert (
        data.compose("exec", "-T", "backup", "bash", "-c", "ls -d /backups/*/.2* /backups/*-*/base/.2* || true").stdout
        == ""
    )
    wait_for(lambda: not data.backup_errors(), seconds=30)


def kill_at(step, process):
    """Kill a restore and its children up to a second after a step starts."""
    for line in process.stdout:
        if line.startswith(f"  {step}"):
            break
    kill_after(RANDOM.uniform(0, 1), process)


STEPS = ("unpack", "check", "flask", "cut over", "start on", "smoke")


@pytest.mark.guarantee("A backup or restore killed at any moment leaves no broken backup and no broken database")
def test_killed_restores(data):
    """After kill -9 in any step one of the two databases serves, and the next restore works."""
    writer = Writer(data, data.token())
    assert [writer.write() for _ in range(20)].count(None) == 0
    for step in RANDOM.sample(STEPS, RESTORES):
        kill_at(step, data.start_ops("restore", "--yes", start_new_session=True))
    data.ops("restore", "--yes")
    assert lost(data, writer) == []
    assert data.request("/api/products?limit=1", headers={"Cookie": "a=b"}).status == 200
    kept = {entry[name] for entry in data.history() for name in ("volume", "replaced") if name in entry}
    assert data.volumes() <= kept | {volume(data)}
