"""Releases under load: no request fails during a deploy, a migration, a rollback or a canary, and no write is lost."""

from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import HEAD
from tests.support.stack.load import Load
from tests.support.stack.server import HOST, steps

REQUESTS = 30_000
SLOWEST = 2.0  # seconds
ROLLBACK = 10.0  # seconds
FEW = 40  # five for each client; an outage of half a second causes more
pytestmark = [pytest.mark.timeout(600), pytest.mark.smoke]

MIGRATION = f'''
COPY <<END /srv/migrations/versions/note.py
"""A note on each product."""
import sqlalchemy as sa
from alembic import op

revision = "0a11ce5eed01"
down_revision = "{HEAD}"

def upgrade():
    op.add_column("products", sa.Column("note", sa.Text()))
END
'''


@pytest.fixture(scope="module")
def exercise(new_server, registry, one, figure):
    """Run every kind of release under one constant load; return the results."""
    two = registry.release("two")
    three, four = (registry.release(name, MIGRATION) for name in ("three", "four"))
    server = new_server(replicas=2)
    server.ops("deploy", one)
    seen = SimpleNamespace(server=server, outputs={}, releases={})

    def act(name, *words):
        seen.outputs[name] = server.ops(*words).stdout
        seen.releases[name] = server.release()

    with Load(server.https, HOST, server.token()) as load:
        act("deploy", "deploy", two)
        act("deploy with a migration", "deploy", three)
        act("rollback", "rollback")
        act("canary", "canary", four, "--percent", "20", "--for", "4")
        act("promote", "promote")
        act("canary again", "canary", one, "--percent", "20", "--for", "4")
        act("abort", "abort")
        wait_for(lambda: load.report.total >= REQUESTS, seconds=200, pause=0.5)
    seen.report = load.report
    figure(f"under load: {load.report}")
    figure(f"responses of /health/version by release: {dict(load.report.releases)}")
    for name, output in seen.outputs.items():
        took = steps(output)
        figure(f"{name}: {sum(took.values()):.1f} s ({', '.join(f'{step} {took[step]:.1f}' for step in took)})")
    return seen


def written(server, report):
    """Return the SKUs that a load wrote, from the database."""
    prefix = report.created[0].partition("-")[0]
    return server.sql(f"SELECT sku FROM products WHERE sku LIKE '{prefix}-%'")


@pytest.mark.guarantee(
    "Under constant load, deploys, a migration, a rollback and canaries fail none of 30,000 requests"
)
def test_no_request_fails(exercise):
    """No request of at least 30,000 fails."""
    assert exercise.report.failures == []
    assert exercise.report.total >= REQUESTS


@pytest.mark.guarantee(
    "During all of them no response takes longer than two seconds, and each acknowledged write exists once"
)
def test_no_slow_request(exercise):
    """The slowest response takes at most two seconds."""
    assert exercise.report.slowest <= SLOWEST


@pytest.mark.guarantee(
    "During all of them no response takes longer than two seconds, and each acknowledged write exists once"
)
def test_no_lost_write(exercise):
    """Each product with a 201 is in the database exactly once."""
    assert sorted(written(exercise.server, exercise.report)) == sorted(exercise.report.created)


def test_active_release(exercise):
    """After each command the expected release is active, and the load saw every release."""
    wanted = {
        "deploy": "two",
        "deploy with a migration": "three",
        "rollback": "two",
        "promote": "four",
        "abort": "four",
    }
    assert {name: exercise.releases[name] for name in wanted} == wanted
    assert set(exercise.report.releases) == {"one", "two", "three", "four"}


def test_migration(exercise):
    """The migration stays applied after the rollback of its release."""
    assert exercise.server.sql("SELECT version_num FROM alembic_version") == ["0a11ce5eed01"]


def test_idle_colour(exercise):
    """At the end the active release runs, and the previous one is stopped."""
    status = exercise.server.status()
    idle = next(colour for colour in status["colours"] if colour != status["active_colour"])
    assert status["colours"][status["active_colour"]]["containers"] == ["running healthy"] * 2
    assert status["colours"][idle]["containers"] == ["exited"] * 2


@pytest.fixture(scope="module")
def death(exercise):
    """Kill all processes of one of the two containers under load; return the load's report."""
    server, colour = exercise.server, exercise.server.status()["active_colour"]
    with Load(server.https, HOST, server.token()) as load:
        wait_for(lambda: load.report.total > 300)
        server.compose("exec", "-T", f"web-{colour}", "bash", "-c", "kill -KILL -1", check=False)
        wait_for(lambda: server.status()["colours"][colour]["containers"] == ["running healthy"] * 2, seconds=40)
        before = load.report.total
        wait_for(lambda: load.report.total > before + 300)
    return load.report


@pytest.mark.guarantee("A dead container costs a few 503 responses until nginx notices, and no acknowledged write")
def test_container_death(death, figure):
    """A dead container costs a few 503 responses until nginx notices, and it restarts.

    A response whose headers were sent is cut off, and the client can tell: nginx cannot take the headers back.
    """
    figure(f"a container dies: {death}")
    clear = (": 503 after ", ": IncompleteRead")
    assert [failure for failure in death.failures if not any(word in failure for word in clear)] == []
    assert len(death.failures) <= FEW


@pytest.mark.guarantee("A dead container costs a few 503 responses until nginx notices, and no acknowledged write")
def test_no_lost_write_after_a_death(exercise, death):
    """Each product with a 201 is in the database, and none twice."""
    rows = written(exercise.server, death)
    assert sorted(set(rows)) == sorted(rows)
    assert set(death.created) <= set(rows)


@pytest.mark.guarantee("A rollback takes at most ten seconds")
def test_rollback_time(exercise, figure):
    """A rollback takes at most ten seconds, without the load, which competes for this machine's CPUs."""
    took = steps(exercise.server.ops("rollback").stdout)
    until_active = sum(took[step] for step in ("start", "ready", "smoke", "switch", "verify"))
    figure(f"rollback without load: {until_active:.1f} s until the old release is active")
    assert until_active <= ROLLBACK
