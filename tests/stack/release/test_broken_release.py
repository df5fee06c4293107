"""Broken releases under a light load: the old release keeps its traffic, and ops prints the cause."""

from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import BROKEN, LOCKED, respond_with
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

SLOWEST_S = 2.0  # seconds; longer than the application's statement timeout
UNKNOWN = "sha256:" + "0" * 64
SMOKE = {"responds with 500": pytest.mark.smoke}


@pytest.fixture(scope="module")
def load(server):
    """A light load on the server for all tests."""
    with Load(server.https, HOST, server.token(), keep_alive=2, fresh=1, rate=10) as load:
        yield load


@pytest.fixture
def attempt(server, load):
    """Return a function that runs an ops command and returns its result and the load's responses meanwhile."""

    def run(*argv):
        failed, releases, before = len(load.report.failures), Counter(load.report.releases), server.status()
        done = server.ops(*argv, check=False)
        responses = wait_for(lambda: load.report.releases - releases)  # at least one more request
        return SimpleNamespace(
            code=done.returncode,
            output=done.stdout,
            failures=load.report.failures[failed:],
            releases=set(responses),
            before=before,
            after=server.status(),
        )

    return run


def assert_nothing_changed(result):
    """The load received only responses of the active release, without a failure, and nothing else runs."""
    colour = result.before["active_colour"]
    assert result.failures == []
    assert result.releases == {result.before["colours"][colour]["release"]}
    kept = ("active_colour", "canary_percent", "outside", "under_way", "interrupted", "services")
    assert {name: result.after[name] for name in kept} == {name: result.before[name] for name in kept}
    assert result.after["colours"][colour] == result.before["colours"][colour]
    idle = next(colours for name, colours in result.after["colours"].items() if name != colour)
    assert not [state for state in idle["containers"] if state.startswith(("running", "restarting"))]


@pytest.mark.guarantee("A broken release never receives user traffic")
@pytest.mark.parametrize("name", [pytest.param(name, marks=SMOKE.get(name, ())) for name in BROKEN])
def test_broken_release(attempt, registry, name):
    """A broken release fails the step that finds the fault, with its cause, and gets no traffic."""
    broken, release = BROKEN[name], name.replace(" ", "-")
    result = attempt("deploy", registry.release(release, *broken.lines), *broken.options)
    assert result.code == 1, result.output
    messages = (*broken.messages, f"deploy stopped at “{broken.step}”")
    assert [text for text in messages if text not in result.output] == [], result.output
    assert_nothing_changed(result)
    last = result.after["history"][-1]
    assert (last["release"], last["result"], last["step"]) == (release, "failed", broken.step)


def refused(registry):
    """Return releases that are refused: the arguments, the exit code and the message."""
    good = registry.release("refused")
    return {
        "a tag": (["deploy", f"{registry.repository}:refused"], 2, "has no digest"),
        "another commit": (["deploy", good, "--release", "0ther"], 2, "The image is of release refused, not 0ther"),
        "a digest that the registry does not have": (["deploy", f"{registry.repository}@{UNKNOWN}"], 1, "not found"),
        "an image without a bundle": (
            ["deploy", registry.release("empty", "RUN rm -r /srv/bundle")],
            2,
            "has no bundle in /srv/bundle",
        ),
        "an image whose ops cannot be read": (
            ["deploy", registry.release("unreadable", "RUN echo 'def (' >> /srv/bundle/ops/cli/main.py")],
            1,
            "SyntaxError",
        ),
    }


@pytest.fixture(scope="module")
def refusals(registry):
    """The refused releases, built once."""
    return refused(registry)


@pytest.mark.parametrize(
    "name",
    [
        "a tag",
        "another commit",
        "a digest that the registry does not have",
        "an image without a bundle",
        "an image whose ops cannot be read",
    ],
)
def test_refused_release(attempt, refusals, name):
    """A refused release changes nothing, not even the history."""
    argv, code, message = refusals[name]
    result = attempt(*argv)
    assert (result.code, message in result.output) == (code, True), result.output
    assert_nothing_changed(result)
    assert result.after["history"] == result.before["history"]


@contextmanager
def reader(server):
    """Hold a transaction that has read products."""
    with server.psql() as session:
        session.stdin.write("BEGIN; SELECT 'has read' FROM (SELECT count(*) FROM products) AS p;\n")
        assert session.stdout.readline().strip() == "has read"
        yield
        session.stdin.close()


def test_migration_without_its_lock(attempt, server, load, registry):
    """A migration that cannot get its lock fails in time, names the holder, and delays no request."""
    image = registry.release("locked", LOCKED)
    with reader(server):
        result = attempt("deploy", image)
    assert (result.code, result.after["history"][-1]["step"]) == (1, "migrate"), result.output
    assert "could not obtain a lock within 0.625 s, 3 times" in result.output
    assert "role postgres" in result.output
    assert "holds products" in result.output
    assert load.report.slowest < SLOWEST_S
    assert_nothing_changed(result)


@pytest.mark.guarantee("A canary that fails its users gets at most its share of the traffic and is taken back")
def test_failing_canary(attempt, server, load, registry):
    """A canary that fails writes gets at most its share, and none after the rollback."""
    image = registry.release("fails-writes", respond_with("flask.request.method == 'POST'", 500))
    before = load.report.total
    result = attempt("deploy", image, "--canary", "30", "--for", "10", "--budget", "1")
    assert result.code == 1
    assert "the canary exceeded its error budget of 1 %" in result.output
    assert "deploy stopped at “canary”" in result.output
    assert result.releases == {server.release(), "fails-writes"}
    assert result.failures
    assert all(" POST " in failure and ": 500 " in failure for failure in result.failures)
    assert len(result.failures) < 0.3 * (load.report.total - before)
    assert (result.after["active_colour"], result.after["canary_percent"]) == (
        result.before["active_colour"],
        0,
    )
    failed, sent = len(load.report.failures), load.report.total
    wait_for(lambda: load.report.total > sent + 60)
    assert len(load.report.failures) == failed


def test_next_release(attempt, server, registry):
    """After all these failures, a good release is deployed."""
    result = attempt("deploy", registry.release("good"))
    assert result.code == 0, result.output
    assert result.failures == []
    assert server.release() == "good"
