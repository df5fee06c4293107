"""ops killed in the middle of a step, under a light load: users notice nothing, and the next deploy recovers."""

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

PATIENCE = 120
SLOW = migration("000000000510", 'op.execute("SELECT pg_sleep(5)")', ADD_NOTE)
MIGRATING = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(5)'"
CANARY = ("--canary", "20", "--for", "4")


@pytest.fixture(scope="module")
def site(new_server, registry, one):
    """Return a server under a light load, three releases for it, and the seconds that each step of a deploy takes."""
    server = new_server()
    server.ops("deploy", one)
    two, three, slow = registry.release("two"), registry.release("three"), registry.release("slow", SLOW)
    took = steps(server.ops("deploy", two, *CANARY).stdout)
    server.ops("deploy", three)
    with Load(server.https, HOST, server.token(), keeping=2, fresh=1, rate=10) as load:
        yield SimpleNamespace(server=server, load=load, one=one, two=two, three=three, slow=slow, took=took)


@contextlib.contextmanager
def started(server, *words):
    """Start an ops command, and end it if it has not ended by itself when the block ends, or when time is up."""
    with server.start_ops(*words) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def read_until(process, step):
    """Read what ops prints until a step begins."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line == f"  {step} …\n":
            return
    raise AssertionError(f"it never came to {step}:\n{''.join(seen)}")


def interrupt(site, number, step, *words):
    """Send a signal to ops when the half of a step is over; return its exit code and what it printed from then on."""
    with started(site.server, *words) as process:
        read_until(process, step)
        time.sleep(site.took[step] / 2)  # the moment to hit, not a wait for anything
        process.send_signal(number)
        output = process.stdout.read()
        return process.wait(PATIENCE), output


def kill(site, step, *words):
    """Kill ops in the middle of a step; its children may live on."""
    code, _ = interrupt(site, signal.SIGKILL, step, *words)
    assert code == -signal.SIGKILL


def assert_as_if_nothing_had_been(site, release):
    """One colour runs and serves the release; nothing is left of what was killed, and nobody was failed."""
    status = site.server.status()
    serving = status["active_colour"]
    idle = next(seen for colour, seen in status["colours"].items() if colour != serving)
    assert site.load.report.failures == []
    assert (site.server.release(), status["colours"][serving]["release"]) == (release, release)
    assert (status["canary_percent"], status["under_way"], status["interrupted"]) == (0, "", False)
    assert (status["colours"][serving]["containers"], idle["containers"]) == (["running healthy"], ["exited"])
    ours = f"--filter=label=com.docker.compose.project={site.server.name}"
    assert docker("ps", "--all", "--quiet", ours, "--filter=label=com.docker.compose.oneoff=True").stdout == ""


DEPLOYS = (
    *[("pull", "unpack"), ("preflight", "migrate"), ("start", "ready"), ("smoke", "canary")],
    *[("switch", "verify"), ("record", "drain"), ("stop",)],
)


@pytest.mark.parametrize("killed", DEPLOYS)
def test_a_deploy_after_killed_deploys_recovers(site, killed):
    """Wherever a deploy was killed, and the next one later on, a third brings its release, as if nothing had been."""
    for step in killed:
        kill(site, step, "deploy", site.two, *(CANARY if step == "canary" else ()))
    site.server.ops("deploy", site.three)
    assert_as_if_nothing_had_been(site, "three")


@pytest.mark.parametrize("step", ["start", "switch", "stop"])
def test_a_deploy_after_a_killed_rollback_recovers(site, step):
    """It does after a rollback that was killed, too."""
    kill(site, step, "rollback")
    site.server.ops("deploy", site.three)
    assert_as_if_nothing_had_been(site, "three")


@pytest.mark.parametrize("step", ["switch", "drain"])
def test_a_deploy_after_a_killed_promotion_recovers(site, step):
    """It does after a canary whose promotion was killed, too."""
    site.server.ops("canary", site.two, "--percent", "20", "--for", "1")
    kill(site, step, "promote")
    site.server.ops("deploy", site.three)
    assert_as_if_nothing_had_been(site, "three")


@pytest.mark.parametrize("step", ["migrate", "smoke", "switch"])
def test_a_deploy_that_is_told_to_stop_puts_back(site, step):
    """On SIGTERM, as on a lost connection, it says so, puts users back where they were, and ends with 1."""
    before = site.server.status()["active_colour"]
    code, output = interrupt(site, signal.SIGTERM, step, "deploy", site.two)
    assert code == 1, output
    assert "ops received SIGTERM" in output
    assert "undo done in" in output
    assert site.server.status()["active_colour"] == before
    assert site.server.history()[-1]["result"] == "failed"
    assert_as_if_nothing_had_been(site, "three")


@pytest.fixture
def two_at_once(site):
    """Begin a deploy while another one is under way, and return what each printed and whether the first had ended."""
    with started(site.server, "deploy", site.two) as first:
        read_until(first, "pull")
        with started(site.server, "deploy", site.three) as second:
            waits = second.stdout.readline() + second.stdout.readline()
            read_until(second, "pull")
            ended = first.wait(5)  # the second has the lock, so the first has nothing left to do
            return SimpleNamespace(ended=ended, first=first.stdout.read(), waits=waits, second=second.stdout.read())


def test_two_deploys_at_once_follow_one_another(site, two_at_once):
    """The second says for whom it waits, begins when that one has ended, and its release serves."""
    assert f"waiting up to 120 s for deploy of {site.two} (process " in two_at_once.waits
    assert two_at_once.ended == 0
    assert "prune done" in two_at_once.first
    assert "prune done" in two_at_once.second
    assert_as_if_nothing_had_been(site, "three")


def test_the_status_says_who_is_at_it(site):
    """While a deploy runs, the status says which, since when and by whom."""
    with started(site.server, "deploy", site.two) as process:
        read_until(process, "migrate")
        status = site.server.status()
        text = site.server.ops("status").stdout
        process.stdout.read()
        assert process.wait(PATIENCE) == 0
    assert f"deploy of {site.two} (process {process.pid}, by " in status["under_way"]
    assert f"under way: deploy of {site.two}" in text
    assert not status["interrupted"]


def test_a_migration_that_was_under_way_is_applied_once(site):
    """Ops is killed while the database works on its migration; the next deploy waits for that, or does it anew."""
    with started(site.server, "deploy", site.slow) as process:
        read_until(process, "migrate")
        wait_for(lambda: site.server.sql(MIGRATING), seconds=20, pause=0.1)
        process.kill()
        process.wait(PATIENCE)
    site.server.ops("deploy", site.slow)
    assert_as_if_nothing_had_been(site, "slow")
    assert site.server.sql("SELECT version_num FROM alembic_version") == ["000000000510"]
    columns = "SELECT count(*) FROM information_schema.columns WHERE (table_name, column_name) = ('products', 'note')"
    assert site.server.sql(columns) == ["1"]


def test_every_killed_command_is_in_the_history(site):
    """Once it has changed anything, a killed command is not lost: the next one writes down how it ended."""
    results = Counter((entry["command"], entry["result"]) for entry in site.server.history())
    assert results["deploy", "interrupted"] >= 1
    assert results["rollback", "interrupted"] >= 1
