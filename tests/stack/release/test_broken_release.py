"""Releases that must not reach users, each under a light load: the old one serves, and ops says what it saw."""

from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import BROKEN, LOCKED, answers
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

SLOWEST = 2.0  # seconds; more than the application gives a statement
NOWHERE = "sha256:" + "0" * 64
SMOKE = {"answers 500": pytest.mark.smoke}


@pytest.fixture(scope="module")
def load(server):
    """Return a light load on the server, from the first test to the last."""
    with Load(server.https, HOST, server.token(), keeping=2, fresh=1, rate=10) as load:
        yield load


@pytest.fixture
def attempt(server, load):
    """Return a function that runs an ops command, and returns what came of it and what users saw meanwhile."""

    def run(*words):
        failed, met, before = len(load.report.failures), Counter(load.report.releases), server.status()
        done = server.ops(*words, check=False)
        seen = wait_for(lambda: load.report.releases - met)  # at least one user has asked
        return SimpleNamespace(
            code=done.returncode,
            output=done.stdout,
            failures=load.report.failures[failed:],
            releases=set(seen),
            before=before,
            after=server.status(),
        )

    return run


def assert_nothing_changed(tried):
    """Users met the release that serves and no other, without a failure, and it alone runs."""
    colour = tried.before["active_colour"]
    assert tried.failures == []
    assert tried.releases == {tried.before["colours"][colour]["release"]}
    kept = ("active_colour", "canary_percent", "outside", "under_way", "interrupted", "services")
    assert {name: tried.after[name] for name in kept} == {name: tried.before[name] for name in kept}
    assert tried.after["colours"][colour] == tried.before["colours"][colour]
    idle = next(colours for name, colours in tried.after["colours"].items() if name != colour)
    assert not [state for state in idle["containers"] if state.startswith(("running", "restarting"))]


@pytest.mark.parametrize("name", [pytest.param(name, marks=SMOKE.get(name, ())) for name in BROKEN])
def test_a_broken_release_is_stopped_before_users_meet_it(attempt, registry, name):
    """It stops at the step that finds the fault, with 1 and what was seen; no user has met it."""
    broken, release = BROKEN[name], name.replace(" ", "-")
    tried = attempt("deploy", registry.release(release, *broken.lines), *broken.options)
    assert tried.code == 1, tried.output
    assert [text for text in (*broken.says, f"deploy stopped at “{broken.step}”") if text not in tried.output] == [], (
        tried.output
    )
    assert_nothing_changed(tried)
    last = tried.after["history"][-1]
    assert (last["release"], last["result"], last["step"]) == (release, "failed", broken.step)


def refused(registry):
    """Return what is not even begun: the words of the command, its exit code, and what is said."""
    good = registry.release("refused")
    return {
        "a tag": (["deploy", f"{registry.repository}:refused"], 2, "has no digest"),
        "another commit": (["deploy", good, "--release", "0ther"], 2, "The image is of release refused, not 0ther"),
        "a digest that the registry has not": (["deploy", f"{registry.repository}@{NOWHERE}"], 1, "not found"),
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
    """Return them, made once."""
    return refused(registry)


@pytest.mark.parametrize(
    "name",
    [
        "a tag",
        "another commit",
        "a digest that the registry has not",
        "an image without a bundle",
        "an image whose ops cannot be read",
    ],
)
def test_what_is_no_good_release_is_not_begun(attempt, refusals, name):
    """It is refused with the reason before anything is changed, and the history is as it was."""
    words, code, says = refusals[name]
    tried = attempt(*words)
    assert (tried.code, says in tried.output) == (code, True), tried.output
    assert_nothing_changed(tried)
    assert tried.after["history"] == tried.before["history"]


@contextmanager
def reader(server):
    """Have a session that has read products, and whose transaction does not end."""
    with server.psql() as session:
        session.stdin.write("BEGIN; SELECT 'has read' FROM (SELECT count(*) FROM products) AS p;\n")
        assert session.stdout.readline().strip() == "has read"
        yield
        session.stdin.close()


def test_a_migration_that_gets_no_lock_gives_way(attempt, server, load, registry):
    """It does not make users wait behind a forgotten transaction: it gives up in time, and names who holds the lock."""
    image = registry.release("locked", LOCKED)
    with reader(server):
        tried = attempt("deploy", image)
    assert (tried.code, tried.after["history"][-1]["step"]) == (1, "migrate"), tried.output
    assert "could not obtain a lock within 0.625 s, 3 times" in tried.output
    assert "role postgres" in tried.output
    assert "holds products" in tried.output
    assert load.report.slowest < SLOWEST
    assert_nothing_changed(tried)


def test_a_canary_that_fails_its_users_is_taken_back(attempt, server, load, registry):
    """One that answers 500 to writes alone gets its share of the users at most, and none after it has stopped."""
    image = registry.release("fails-writes", answers("flask.request.method == 'POST'", 500))
    begun = load.report.total
    tried = attempt("deploy", image, "--canary", "30", "--for", "10", "--budget", "1")
    assert tried.code == 1
    assert "the canary exceeded its error budget of 1 %" in tried.output
    assert "deploy stopped at “canary”" in tried.output
    assert tried.releases == {server.release(), "fails-writes"}
    assert tried.failures
    assert all(" POST " in failure and ": 500 " in failure for failure in tried.failures)
    assert len(tried.failures) < 0.3 * (load.report.total - begun)
    assert (tried.after["active_colour"], tried.after["canary_percent"]) == (tried.before["active_colour"], 0)
    failed, asked = len(load.report.failures), load.report.total
    wait_for(lambda: load.report.total > asked + 60)
    assert len(load.report.failures) == failed


def test_the_next_good_release_reaches_users(attempt, server, registry):
    """After all these a good release is deployed as if nothing had been."""
    tried = attempt("deploy", registry.release("good"))
    assert tried.code == 0, tried.output
    assert tried.failures == []
    assert server.release() == "good"
