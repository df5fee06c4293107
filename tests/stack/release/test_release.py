"""Releases under load: users notice nothing of a deploy, a migration, a rollback or a canary, and lose nothing."""

from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import HEAD
from tests.support.stack.load import Load
from tests.support.stack.server import HOST, steps

REQUESTS = 30_000
SLOWEST = 2.0  # seconds
ROLLBACK = 10.0  # seconds
FEW = 40  # five for each client; an outage of half a second would be more
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
def drill(new_server, registry, one, figure):
    """Do everything that a release can be, under one constant load, and return what was seen."""
    two = registry.release("two")
    three, four = (registry.release(name, MIGRATION) for name in ("three", "four"))
    server = new_server(replicas=2)
    server.ops("deploy", one)
    seen = SimpleNamespace(server=server, outputs={}, serving={})

    def act(name, *words):
        seen.outputs[name] = server.ops(*words).stdout
        seen.serving[name] = server.release()

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
    figure(f"answers of /health/version by release: {dict(load.report.releases)}")
    for name, output in seen.outputs.items():
        took = steps(output)
        figure(f"{name}: {sum(took.values()):.1f} s ({', '.join(f'{step} {took[step]:.1f}' for step in took)})")
    return seen


def written(server, report):
    """Return the SKUs that a load has written, as the database has them."""
    prefix = report.created[0].partition("-")[0]
    return server.sql(f"SELECT sku FROM products WHERE sku LIKE '{prefix}-%'")


def test_no_request_fails(drill):
    """Of 30,000 requests and more, during every kind of release, not one fails."""
    assert drill.report.failures == []
    assert drill.report.total >= REQUESTS


def test_no_request_waits_long(drill):
    """The slowest answer is there within two seconds."""
    assert drill.report.slowest <= SLOWEST


def test_each_write_is_there_once(drill):
    """Every product whose POST was answered 201 is in the database, once."""
    assert sorted(written(drill.server, drill.report)) == sorted(drill.report.created)


def test_users_met_every_release(drill):
    """Each step has put the release before users that it was to: the load did not pass it by."""
    wanted = {
        "deploy": "two",
        "deploy with a migration": "three",
        "rollback": "two",
        "promote": "four",
        "abort": "four",
    }
    assert {name: drill.serving[name] for name in wanted} == wanted
    assert set(drill.report.releases) == {"one", "two", "three", "four"}


def test_the_migration_was_applied(drill):
    """The schema has what the migration adds, though the release that brought it was rolled back."""
    assert drill.server.sql("SELECT version_num FROM alembic_version") == ["0a11ce5eed01"]


def test_only_one_colour_is_left_running(drill):
    """At the end the release that serves runs, and the one before is kept, stopped."""
    status = drill.server.status()
    idle = next(colour for colour in status["colours"] if colour != status["active_colour"])
    assert status["colours"][status["active_colour"]]["containers"] == ["running healthy"] * 2
    assert status["colours"][idle]["containers"] == ["exited"] * 2


@pytest.fixture(scope="module")
def death(drill):
    """Let all processes of one of the two containers die under load, and return what users saw of it."""
    server, colour = drill.server, drill.server.status()["active_colour"]
    with Load(server.https, HOST, server.token()) as load:
        wait_for(lambda: load.report.total > 300)
        server.compose("exec", "-T", f"web-{colour}", "bash", "-c", "kill -KILL -1", check=False)
        wait_for(lambda: server.status()["colours"][colour]["containers"] == ["running healthy"] * 2, seconds=40)
        before = load.report.total
        wait_for(lambda: load.report.total > before + 300)
    return load.report


def test_a_container_that_dies_costs_little(death, figure):
    """A few requests get a clear 503 until nginx has noticed, none hangs, and it comes back by itself.

    One whose head was sent when its worker died is cut off, and the client can tell: nginx cannot take the head back.
    """
    figure(f"a container dies: {death}")
    told = (": 503 after ", ": IncompleteRead")
    assert [failure for failure in death.failures if not any(word in failure for word in told)] == []
    assert len(death.failures) <= FEW


def test_no_write_is_lost_with_it(drill, death):
    """Each product whose POST was answered 201 is in the database, once, and none is there twice."""
    rows = written(drill.server, death)
    assert sorted(set(rows)) == sorted(rows)
    assert set(death.created) <= set(rows)


def test_a_rollback_is_quick(drill, figure):
    """A rollback has users back at the release before within ten seconds.

    Without the load, which takes its CPUs from the server here: what it took with it stands in the figures.
    """
    took = steps(drill.server.ops("rollback").stdout)
    until_served = sum(took[step] for step in ("start", "ready", "smoke", "switch", "verify"))
    figure(f"rollback without load: {until_served:.1f} s until users are back")
    assert until_served <= ROLLBACK
