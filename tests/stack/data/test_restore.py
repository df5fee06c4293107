"""Restores after a lost disk and after a mistake: what is lost, and for how long."""

import json
import time

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, listed, lost, skus, whole_second

pytestmark = pytest.mark.timeout(300)


def volume(server):
    """Return the database's volume."""
    return json.loads(server.compose("config", "--format", "json").stdout)["volumes"]["db"]["name"]


def destroy_disk(server):
    """Remove the database's container and volume."""
    name = volume(server)
    docker("rm", "--force", "--volumes", f"{server.name}-db-1")
    docker("volume", "rm", name)


def restore_after_lost_disk(server):
    """Destroy the disk under writers and restore; return the writers, the age of the oldest lost write and the time."""
    with Writer(server, server.token()) as writer:
        writer.more(100)
        destroyed = time.time()
        destroy_disk(server)
        server.ops("restore", "--yes")
        seconds = time.time() - destroyed
        writer.more()
    ages = [destroyed - writer.moments[sku] for sku in lost(server, writer)]
    return writer, max(ages, default=0), seconds


@pytest.mark.guarantee("A lost disk costs the last seconds of writes at most, and none with a synchronous archive")
def test_lost_disk(data, figure):
    """After the loss of the disk a restore loses at most the last seconds."""
    writer, age, seconds = restore_after_lost_disk(data)
    gone = f"{len(lost(data, writer))} of {len(writer.acknowledged)} acknowledged writes lost"
    figure(f"{gone}, of the last {age:.3f} s; restored {seconds:.1f} s after the disk was lost")
    assert age < 5


@pytest.mark.guarantee("A lost disk costs the last seconds of writes at most, and none with a synchronous archive")
def test_lost_disk_with_a_synchronous_archive(data, figure):
    """With SYNCHRONOUS_ARCHIVE=on no acknowledged write is lost."""
    settings = data.folder / ".env"
    before = settings.read_text()
    settings.write_text(before + "SYNCHRONOUS_ARCHIVE=on\n")
    data.compose("up", "--detach", "--no-deps", "--wait", "db")
    try:
        writer, _, _ = restore_after_lost_disk(data)
        figure(f"{len(lost(data, writer))} of {len(writer.acknowledged)} acknowledged writes lost")
        assert lost(data, writer) == []
    finally:
        lines = settings.read_text().splitlines(keepends=True)
        settings.write_text("".join(line for line in lines if "SYNCHRONOUS_ARCHIVE" not in line))
        data.compose("up", "--detach", "--no-deps", "--wait", "db")


@pytest.mark.guarantee("Point-in-time restore brings back any second of the last week with exactly its rows")
def test_point_in_time(data):
    """`--to` restores exactly the rows of that second and keeps the replaced volume."""
    writer, replaced = Writer(data, data.token()), volume(data)
    before = [writer.write() for _ in range(20)]
    second = whole_second()
    after = [writer.write() for _ in range(20)]
    assert listed(data, writer.prefix) == sorted(before + after)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    done = data.ops("restore", "--to", moment, "--yes")
    assert skus(data, writer.prefix) == before
    assert listed(data, writer.prefix) == sorted(before)  # no cache has newer rows
    assert f"docker volume rm {replaced}" in done.stdout
    assert docker("volume", "inspect", replaced).returncode == 0


def test_restored_database_is_backed_up(data):
    """The restored database is writable, and its backups and WAL restore."""
    assert Writer(data, data.token()).write()
    wait_for(lambda: "error" not in data.status()["backups"]["wal"], seconds=30)
    data.ops("drill")


def test_confirmation(data):
    """Without a terminal and without --yes nothing starts."""
    done = data.ops("restore", check=False)
    assert (done.returncode, "pass --yes" in done.stdout) == (2, True)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--to", "2020-01-01T00:00:00Z"), "Available:"),
        (("--to", "2020-01-01 00:00"), "has no time zone"),
        (("--to", "yesterday"), "is not a time"),
        (("--backup", "20200101T000000Z-full"), "There is no backup '20200101T000000Z-full'"),
    ],
)
def test_invalid_targets(data, argv, message):
    """An unreachable time or an unknown backup is refused, with the available spans."""
    done = data.ops("restore", "--yes", *argv, check=False)
    assert (done.returncode, message in done.stdout) == (2, True), done.stdout
