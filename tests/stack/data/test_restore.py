"""What a dead disk costs, and what a person's mistake: the database is built anew from its backups."""

import json
import time

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, listed, lost, skus, whole_second

pytestmark = pytest.mark.timeout(300)


def volume(server):
    """Return the volume that is the database's."""
    return json.loads(server.compose("config", "--format", "json").stdout)["volumes"]["db"]["name"]


def destroy_disk(server):
    """Take the database away, with all that it has on its disk."""
    name = volume(server)
    docker("rm", "--force", "--volumes", f"{server.name}-db-1")
    docker("volume", "rm", name)


def restore_after_a_dead_disk(server):
    """Destroy the disk under writers and restore; return them, how old what was lost had become, and the seconds."""
    with Writer(server, server.token()) as writer:
        writer.more(100)
        destroyed = time.time()
        destroy_disk(server)
        server.ops("restore", "--yes")
        seconds = time.time() - destroyed
        writer.more()
    ages = [destroyed - writer.moments[sku] for sku in lost(server, writer)]
    return writer, max(ages, default=0), seconds


def test_a_dead_disk_costs_seconds_at_most(data, figure):
    """With the database's disk destroyed, the backups bring back all but the last moments."""
    writer, age, seconds = restore_after_a_dead_disk(data)
    gone = f"{len(lost(data, writer))} of {len(writer.acknowledged)} acknowledged writes lost"
    figure(f"{gone}, of the last {age:.3f} s; restored and served {seconds:.1f} s after the disk had died")
    assert age < 5


def test_a_dead_disk_costs_nothing_where_the_stream_is_synchronous(data, figure):
    """With SYNCHRONOUS_ARCHIVE=on a write is acknowledged when the backups have it too: none is lost."""
    settings = data.folder / ".env"
    before = settings.read_text()
    settings.write_text(before + "SYNCHRONOUS_ARCHIVE=on\n")
    data.compose("up", "--detach", "--no-deps", "--wait", "db")
    try:
        writer, _, _ = restore_after_a_dead_disk(data)
        figure(f"{len(lost(data, writer))} of {len(writer.acknowledged)} acknowledged writes lost")
        assert lost(data, writer) == []
    finally:
        lines = settings.read_text().splitlines(keepends=True)
        settings.write_text("".join(line for line in lines if "SYNCHRONOUS_ARCHIVE" not in line))
        data.compose("up", "--detach", "--no-deps", "--wait", "db")


def test_a_chosen_second_comes_back_with_exactly_its_rows(data):
    """`--to` a second: what was written until then is there and nothing else; what it replaced is kept."""
    writer, replaced = Writer(data, data.token()), volume(data)
    before = [writer.write() for _ in range(20)]
    second = whole_second()
    after = [writer.write() for _ in range(20)]
    assert listed(data, writer.prefix) == sorted(before + after)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    done = data.ops("restore", "--to", moment, "--yes")
    assert skus(data, writer.prefix) == before
    assert listed(data, writer.prefix) == sorted(before)  # no cache has what was there before
    assert f"docker volume rm {replaced}" in done.stdout
    assert docker("volume", "inspect", replaced).returncode == 0


def test_a_backup_is_made_of_what_was_restored(data):
    """The new database takes writes and has backups of its own at once, and the WAL after them is received."""
    assert Writer(data, data.token()).write()
    wait_for(lambda: "error" not in data.status()["backups"]["wal"], seconds=30)
    data.ops("drill")


def test_it_asks_first(data):
    """Without a person to ask, or a word beforehand, nothing is even begun."""
    done = data.ops("restore", check=False)
    assert (done.returncode, "Give --yes" in done.stdout) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", "2020-01-01T00:00:00Z"), "Available:"),
        (("--to", "2020-01-01 00:00"), "has no time zone"),
        (("--to", "yesterday"), "is not a time"),
        (("--backup", "20200101T000000Z-full"), "There is no backup '20200101T000000Z-full'"),
    ],
)
def test_what_cannot_be_restored_is_refused(data, words, says):
    """A time that nothing leads to, or a backup that is not there, is refused, with what can be reached."""
    done = data.ops("restore", "--yes", *words, check=False)
    assert (done.returncode, says in done.stdout) == (2, True), done.stdout
