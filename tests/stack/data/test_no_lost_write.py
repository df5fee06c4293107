"""Nothing that was answered 201 is lost: not by kill -9 of Postgres, of its container, or of everything."""

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(180)
CHILDREN = (
    r"for p in /proc/[0-9]*; do [ $p = /proc/1 ] || grep -qa ^postgres $p/cmdline && kill -9 ${p#/proc/}; done; true"
)


def kill_postgres(server):
    """Kill every process of Postgres at once but the first, with which the container would end."""
    server.compose("exec", "-T", "db", "bash", "-c", CHILDREN, check=False)


def kill_its_container(server):
    """Kill the container, and start it again."""
    docker("kill", "--signal", "KILL", f"{server.name}-db-1")
    server.compose("up", "--detach", "--no-deps", "--wait", "db")


def kill_everything(server):
    """Kill every container at once, as a power cut does, and start them in any order, as Docker then does."""
    running = server.compose("ps", "--quiet").stdout.split()
    docker("kill", "--signal", "KILL", *running)
    docker("start", *running)


def full(server):
    """Return how many full base backups there are."""
    return [each["kind"] for each in server.backups()].count("full")


@pytest.fixture(scope="module", autouse=True)
def full_before(data):
    """Return how many there are before the bad things."""
    return full(data)


@pytest.mark.parametrize("bad_thing", [kill_postgres, kill_its_container, kill_everything])
def test_no_acknowledged_write_is_lost(data, figure, bad_thing):
    """Each product that was answered 201 is there afterwards, once, and writing goes on by itself."""
    with Writer(data, data.token()) as writer:
        writer.more()
        bad_thing(data)
        writer.more()
    figure(f"{len(writer.acknowledged)} acknowledged, {len(writer.refused)} not, {len(lost(data, writer))} lost")
    assert lost(data, writer) == []


def test_the_stream_goes_on_by_itself(data, full_before):
    """After all that the WAL is received on, without a gap and without a full backup in between."""
    wait_for(lambda: "error" not in data.status()["backups"]["wal"], seconds=30)
    assert full(data) == full_before
    data.ops("drill")
