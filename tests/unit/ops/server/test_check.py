"""A release's own look at the server: what fails refuses the deploy before anything is changed, the rest is a note."""

import json
import re
import subprocess

import pytest

from ops.cli import main
from ops.docker.compose import CHECK_SCRIPT, Compose
from ops.errors import OpsError
from ops.server import check
from ops.server.checks import finding, registry
from tests.support.ops.fake_image import Image
from tests.support.ops.fake_server import FakeRunner
from tests.support.ops.faults import failing

PASSED = {"check": "rights", "state": "PASS", "reason": "app cannot change the schema.", "remedy": ""}
WARNED = {"check": "pooler", "state": "WARN", "reason": "a statement may take 2000 ms.", "remedy": "Make it anew."}
FAILED = {"check": "connections", "state": "FAIL", "reason": "208 connections = …", "remedy": "Lower WEB_REPLICAS."}


def looks(shop):
    """Return the places of the looks among the commands."""
    return [index for index, done in enumerate(shop.docker.done) if CHECK_SCRIPT in done]


def test_pass(shop, capsys):
    """Where all is well it is looked at once, in the new image, before its migrations, and nothing is said of it."""
    image = shop.fetched("second", findings=json.dumps([PASSED]))
    shop.deploy(image)
    [place] = looks(shop)
    assert f"MIGRATE_IMAGE={image.name}" in shop.docker.done[place]
    assert "--json --before-migrating" in shop.docker.done[place]
    assert place < next(index for index, done in enumerate(shop.docker.done) if "schema pending" in done)
    assert "rights" not in capsys.readouterr().out


def test_warn(shop, capsys):
    """What is a warning is said in a line of its own, of the application and of the server alike, and stops nothing."""
    shop.deploy(shop.fetched("second", findings=json.dumps([PASSED, WARNED])))
    assert shop.users_meet == "second"
    lines = capsys.readouterr().out.splitlines()
    assert "    WARN pooler: a statement may take 2000 ms. Make it anew." in lines
    assert any(line.startswith("    WARN offsite: ") for line in lines)
    counts = next(line for line in lines if line.startswith("  check done"))
    assert re.search(r"\d+ PASS, \d+ WARN$", counts)


def test_fail(shop, capsys):
    """What fails stops the deploy at “check”, with reason and remedy, before a migration or a container is started."""
    with pytest.raises(OpsError, match="deploy stopped at “check”"):
        shop.deploy(shop.fetched("second", findings=json.dumps([WARNED, FAILED])))
    assert "    FAIL connections: 208 connections = … Lower WEB_REPLICAS." in capsys.readouterr().out.splitlines()
    assert (shop.users_meet, shop.running, shop.history[-1]) == ("first", ["first"], ("deploy", "second", "failed"))
    assert not any("schema pending" in done or "--pull never" in done for done in shop.docker.done)


def test_absent(shop, capsys):
    """An image that has no such check is deployed, and it is said that nobody has looked."""
    shop.deploy(shop.fetched("second", findings="null"))
    assert shop.users_meet == "second"
    assert "nobody has added its connections up" in capsys.readouterr().out


@pytest.mark.parametrize("printed", ["", "Deprecated: …\n[]", "[1]", '[{"check": "rights"}]'])
def test_no_answer(shop, capsys, printed):
    """An image that prints something else is a failed deploy like any other."""
    with pytest.raises(OpsError, match="stopped at “check”"):
        shop.deploy(shop.fetched("second", findings=printed))
    assert shop.users_meet == "first"
    assert "did not print a list" in capsys.readouterr().out


def test_cannot_be_run(shop, capsys):
    """A look that cannot be taken is no look: the deploy stops, with what was said."""
    shop.docker.fail = failing(CHECK_SCRIPT)
    with pytest.raises(OpsError, match="stopped at “check”"):
        shop.deploy(shop.fetched("second"))
    assert "it is broken" in capsys.readouterr().out


def test_rollback(shop):
    """A rollback brings back what has served, and asks nothing."""
    shop.deploy(shop.fetched("second"))
    shop.docker.done.clear()
    shop.rollback()
    assert looks(shop) == []


def test_dry(shop, capsys):
    """A dry run prints the command and looks at nothing."""
    shop.deploy(shop.fetched("second"), dry=True)
    assert looks(shop) == []
    assert any(f"python {CHECK_SCRIPT} --json" in line for line in capsys.readouterr().out.splitlines())


def fails(monkeypatch, name, deploy):
    """Let one check of the server fail, which a deploy treats so."""

    def look(_server):
        yield finding.failed("it is broken.", "Mend it.")

    monkeypatch.setattr(registry, "CHECKS", (registry.Check(name, look, "", deploy=deploy),))


def test_the_servers_fault(shop, monkeypatch, capsys):
    """A fault of the server that a deploy does not make worse is a loud warning in it."""
    fails(monkeypatch, "backups", "warns")
    shop.deploy(shop.fetched("second"))
    assert shop.users_meet == "second"
    assert "    WARN backups: it is broken. Mend it." in capsys.readouterr().out.splitlines()


def test_the_servers_fault_that_stops(shop, monkeypatch, capsys):
    """One that a deploy would fail of, or make worse, stops it before anything is changed."""
    fails(monkeypatch, "disk", "stops")
    with pytest.raises(OpsError, match="deploy stopped at “check”"):
        shop.deploy(shop.fetched("second"))
    assert "    FAIL disk: it is broken. Mend it." in capsys.readouterr().out.splitlines()
    assert shop.users_meet == "first"


def test_what_a_deploy_does_not_look_at(shop, monkeypatch, capsys):
    """What a deploy itself starts is no finding in it."""
    fails(monkeypatch, "services", "")
    shop.deploy(shop.fetched("second"))
    assert "it is broken" not in capsys.readouterr().out


@pytest.fixture
def report(shop, monkeypatch, capsys):
    """Return a function that gives `ops check`, with these findings of the application; it gives code and output."""
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda dry: FakeRunner(dry=dry, docker=shop.docker))
    monkeypatch.setattr(registry, "CHECKS", ())

    def give(*argv, **behaviour):
        image = Image("first", **behaviour)
        shop.docker.images[f"shop:{shop.server().traffic.colour}"] = image
        capsys.readouterr()
        return main.main(["check", *argv]), capsys.readouterr().out

    return give


@pytest.mark.parametrize(("found", "code", "strictly"), [(PASSED, 0, 0), (WARNED, 0, 1), (FAILED, 1, 1)])
def test_command_check(report, found, code, strictly):
    """`ops check` ends with 1 where anything fails, and strictly with a warning too; it prints a line for each."""
    ended, output = report(findings=json.dumps([found]))
    assert (ended, output.splitlines()[-1]) == (code, f"1 {found['state']}")
    assert output.startswith(f"{found['state']} {found['check']}: ")
    assert report("--strict", findings=json.dumps([found]))[0] == strictly


def test_command_check_json(report, monkeypatch):
    """For machines it is one list of both, in the form that the application's own has."""
    fails(monkeypatch, "disk", "stops")
    ended, output = report("--json", findings=json.dumps([PASSED]))
    mine = {"check": "disk", "state": "FAIL", "reason": "it is broken.", "remedy": "Mend it."}
    assert (ended, json.loads(output)) == (1, [PASSED, mine])


def test_command_check_looks_at_what_serves(report, shop):
    """The image of the colour that serves looks, as after a deploy: pending migrations are a fault then."""
    report(findings="[]")
    [place] = looks(shop)
    assert "MIGRATE_IMAGE=shop:green" in shop.docker.done[place]
    assert "--before-migrating" not in shop.docker.done[place]


@pytest.mark.parametrize(
    ("behaviour", "state", "says"),
    [
        ({"findings": "null"}, "WARN", "has no scripts/check_production.py"),
        ({"findings": ""}, "FAIL", "did not print a list"),
    ],
)
def test_command_check_without_the_application(report, behaviour, state, says):
    """That the application could not look is a finding, and no stack trace."""
    ended, output = report(**behaviour)
    assert (ended, output.startswith(f"{state} application: "), says in output) == (int(state == "FAIL"), True, True)


def test_command_check_before_the_first_deploy(new_shop, monkeypatch):
    """On a new server there is no application to look, which is a warning."""
    monkeypatch.setattr(registry, "CHECKS", ())
    [found] = check.of_application(new_shop.server())
    assert (found.state, found.reason) == ("WARN", "nothing was deployed yet.")


@pytest.mark.parametrize(
    ("python", "code", "printed"), [(None, 0, "null\n"), ("exit 0", 0, ""), ("exit 1", 0, ""), ("exit 2", 1, "")]
)
def test_command(tmp_path, python, code, printed):
    """The command tells an image without the check from one whose check fails (1), and fails where it cannot be run."""
    argv = Compose("", "").check_production("image")
    if python:
        for path, text in ((tmp_path / CHECK_SCRIPT, ""), (tmp_path / "bin/python", f"#!/bin/sh\n{python}\n")):
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    done = subprocess.run(
        argv[-3:], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=10
    )
    assert (done.returncode, done.stdout) == (code, printed)
