"""No acknowledged write is lost by kill -9 of Postgres, of its container, or of every container."""

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(180)
CHILDREN = (
    r"for p in /proc/[0-9]*; do [ $p = /proc/1 ] || grep -qa ^postgres $p/cmdline && kill -9 ${p#/proc/}; done; true"
)


def kill_postgres(server):
    """Kill every process of Postgres except the first, which would end the container."""
    server.compose("exec", "-T", "db", "bash", "-c", CHILDREN, check=False)


def kill_container(server):
    """Kill the database container and start it again."""
    docker("kill", "--signal", "KILL", f"{server.name}-db-1")
    server.compose("up", "--detach", "--no-deps", "--wait", "db")


def kill_everything(server):
    """Kill every container at once, as a power cut does, and start them in any order."""
    running = server.compose("ps", "--quiet").stdout.split()
    docker("kill", "--signal", "KILL", *running)
    docker("start", *running)


def count_full(server):
    """Return the number of full base backups."""
    return [each["kind"] for each in server.backups()].count("full")


@pytest.fixture(scope="module", autouse=True)
def full_before(data):
    """Return the number of full backups before the kills."""
    return count_full(data)


@pytest.mark.guarantee("`kill -9` of Postgres loses no acknowledged write")
@pytest.mark.parametrize("kill", [kill_postgres, kill_container, kill_everything])
def test_no_acknowledged_write_is_lost(data, figure, kill):
    """Each acknowledged product exists exactly once afterwards, and writes succeed again."""
    with Writer(data, data.token()) as writer:
        writer.more()
        kill(data)
        writer.more()
    figure(f"{len(writer.acknowledged)} acknowledged, {len(writer.refused)} not, {len(lost(data, writer))} lost")
    assert lost(data, writer) == []


def test_wal_has_no_gap(data, full_before):
    """WAL is received again afterwards, without a gap and without a new full backup."""
    wait_for(lambda: "error" not in data.status()["backups"]["wal"], seconds=30)
    assert count_full(data) == full_before
    data.ops("drill")
