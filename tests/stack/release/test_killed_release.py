"""ops killed during each step, under a light load: no request fails, and the next deploy recovers."""

import contextlib
import signal
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import ADD_NOTE, migration
from tests.support.stack.compose import docker
from tests.support.stack.load import Load
from tests.support.stack.server import HOST, steps

TIMEOUT_S = 120
SLOW = migration("000000000510", 'op.execute("SELECT pg_sleep(5)")', ADD_NOTE)
MIGRATING = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(5)'"
CANARY = ("--canary", "20", "--for", "4")


@pytest.fixture(scope="module")
def site(new_server, registry, one):
    """A server under a light load, three releases for it, and the duration of each step of a deploy."""
    server = new_server()
    server.ops("deploy", one)
    two, three, slow = registry.release("two"), registry.release("three"), registry.release("slow", SLOW)
    durations = steps(server.ops("deploy", two, *CANARY).stdout)
    server.ops("deploy", three)
    with Load(server.https, HOST, server.token(), keep_alive=2, fresh=1, rate=10) as load:
        yield SimpleNamespace(server=server, load=load, one=one, two=two, three=three, slow=slow, durations=durations)


@contextlib.contextmanager
def started(server, *words):
    """Start an ops command, and kill it at the end of the block or after a timeout."""
    with server.start_ops(*words) as process:
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def read_until(process, step):
    """Read the output until a step begins."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line == f"  {step} …\n":
            return
    raise AssertionError(f"it never reached {step}:\n{''.join(seen)}")


def interrupt(site, number, step, *words):
    """Send a signal in the middle of a step; return the exit code and the output from then on."""
    with started(site.server, *words) as process:
        read_until(process, step)
        time.sleep(site.durations[step] / 2)  # the moment of the kill
        process.send_signal(number)
        output = process.stdout.read()
        return process.wait(TIMEOUT_S), output


def kill(site, step, *words):
    """Kill ops in the middle of a step; its children may survive."""
    code, _ = interrupt(site, signal.SIGKILL, step, *words)
    assert code == -signal.SIGKILL


def assert_recovered(site, release):
    """One colour runs with the release, nothing of a killed command is left, and no request failed."""
    status = site.server.status()
    active = status["active_colour"]
    idle = next(seen for colour, seen in status["colours"].items() if colour != active)
    assert site.load.report.failures == []
    assert (site.server.release(), status["colours"][active]["release"]) == (release, release)
    assert (status["canary_percent"], status["under_way"], status["interrupted"]) == (0, "", False)
    assert (status["colours"][active]["containers"], idle["containers"]) == (["running healthy"], ["exited"])
    project = f"--filter=label=com.docker.compose.project={site.server.name}"
    assert docker("ps", "--all", "--quiet", project, "--filter=label=com.docker.compose.oneoff=True").stdout == ""


DEPLOYS = (
    *[("pull", "unpack"), ("preflight", "migrate"), ("start", "ready"), ("smoke", "canary")],
    *[("switch", "verify"), ("record", "drain"), ("stop",)],
)


@pytest.mark.guarantee("A deploy killed at any step leaves users on a working release, and the next deploy recovers")
@pytest.mark.parametrize("killed", DEPLOYS)
def test_deploy_after_killed_deploys(site, killed):
    """After two killed deploys, the next deploy succeeds."""
    for step in killed:
        kill(site, step, "deploy", site.two, *(CANARY if step == "canary" else ()))
    site.server.ops("deploy", site.three)
    assert_recovered(site, "three")


@pytest.mark.parametrize("step", ["start", "switch", "stop"])
def test_deploy_after_a_killed_rollback(site, step):
    """After a killed rollback, the next deploy succeeds."""
    kill(site, step, "rollback")
    site.server.ops("deploy", site.three)
    assert_recovered(site, "three")


@pytest.mark.parametrize("step", ["switch", "drain"])
def test_deploy_after_a_killed_promotion(site, step):
    """After a killed promotion, the next deploy succeeds."""
    site.server.ops("canary", site.two, "--percent", "20", "--for", "1")
    kill(site, step, "promote")
    site.server.ops("deploy", site.three)
    assert_recovered(site, "three")


@pytest.mark.parametrize("step", ["migrate", "smoke", "switch"])
def test_terminated_deploy(site, step):
    """SIGTERM, as after a lost connection, undoes the deploy and exits with 1."""
    before = site.server.status()["active_colour"]
    code, output = interrupt(site, signal.SIGTERM, step, "deploy", site.two)
    assert code == 1, output
    assert "ops received SIGTERM" in output
    assert "undo done in" in output
    assert site.server.status()["active_colour"] == before
    assert site.server.history()[-1]["result"] == "failed"
    assert_recovered(site, "three")


@pytest.fixture
def two_at_once(site):
    """Start a deploy during another one; return the output of both, and whether the first had ended."""
    with started(site.server, "deploy", site.two) as first:
        read_until(first, "pull")
        with started(site.server, "deploy", site.three) as second:
            waits = second.stdout.readline() + second.stdout.readline()
            read_until(second, "pull")
            ended = first.wait(5)  # the second has the lock, so the first has nothing left to do
            return SimpleNamespace(ended=ended, first=first.stdout.read(), waits=waits, second=second.stdout.read())


def test_concurrent_deploys(site, two_at_once):
    """A second deploy names the first, waits for it, and then succeeds."""
    assert f"waiting up to 120 s for deploy of {site.two} (process " in two_at_once.waits
    assert two_at_once.ended == 0
    assert "prune done" in two_at_once.first
    assert "prune done" in two_at_once.second
    assert_recovered(site, "three")


def test_status_during_a_deploy(site):
    """During a deploy, the status names the command, its user and its start."""
    with started(site.server, "deploy", site.two) as process:
        read_until(process, "migrate")
        status = site.server.status()
        text = site.server.ops("status").stdout
        process.stdout.read()
        assert process.wait(TIMEOUT_S) == 0
    assert f"deploy of {site.two} (process {process.pid}, by " in status["under_way"]
    assert f"under way: deploy of {site.two}" in text
    assert not status["interrupted"]


def test_killed_migration(site):
    """A migration that runs while ops is killed is applied exactly once."""
    with started(site.server, "deploy", site.slow) as process:
        read_until(process, "migrate")
        wait_for(lambda: site.server.sql(MIGRATING), seconds=20, pause=0.1)
        process.kill()
        process.wait(TIMEOUT_S)
    site.server.ops("deploy", site.slow)
    assert_recovered(site, "slow")
    assert site.server.sql("SELECT version_num FROM alembic_version") == ["000000000510"]
    columns = "SELECT count(*) FROM information_schema.columns WHERE (table_name, column_name) = ('products', 'note')"
    assert site.server.sql(columns) == ["1"]


def test_history_of_killed_commands(site):
    """The history has each killed command that changed something."""
    results = Counter((entry["command"], entry["result"]) for entry in site.server.history())
    assert results["deploy", "interrupted"] >= 1
    assert results["rollback", "interrupted"] >= 1
