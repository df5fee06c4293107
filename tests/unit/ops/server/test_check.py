"""Tests of the production check: in a deploy a failure stops it before any change; `ops check` reports all findings."""

import json
import re
import subprocess

import pytest

from ops.cli import main
from ops.docker.compose import CHECK_SCRIPT, Compose
from ops.errors import OpsError
from ops.server import check
from ops.server.checks import finding, registry
from tests.support.ops.fake_docker import FakeRunner
from tests.support.ops.fake_image import Image
from tests.support.ops.faults import failing

PASSED = {"check": "rights", "state": "PASS", "reason": "app cannot change the schema.", "remedy": ""}
WARNED = {"check": "pooler", "state": "WARN", "reason": "a statement may take 2000 ms.", "remedy": "Recreate it."}
FAILED = {"check": "connections", "state": "FAIL", "reason": "208 connections = …", "remedy": "Lower WEB_REPLICAS."}


def check_runs(shop):
    """Return the positions of the release's check among the commands."""
    return [index for index, done in enumerate(shop.docker.executed) if CHECK_SCRIPT in done]


def test_pass(shop, capsys):
    """The check runs once, in the new image, before its migrations; a passed check prints nothing."""
    image = shop.fetched("second", findings=json.dumps([PASSED]))
    shop.deploy(image)
    [place] = check_runs(shop)
    assert f"MIGRATE_IMAGE={image.name}" in shop.docker.executed[place]
    assert "--json --before-migrating" in shop.docker.executed[place]
    assert place < next(index for index, done in enumerate(shop.docker.executed) if "schema pending" in done)
    assert "rights" not in capsys.readouterr().out


def test_warn(shop, capsys):
    """Each warning of the application and of the server is printed and stops nothing."""
    shop.deploy(shop.fetched("second", findings=json.dumps([PASSED, WARNED])))
    assert shop.active_release == "second"
    lines = capsys.readouterr().out.splitlines()
    assert "    WARN pooler: a statement may take 2000 ms. Recreate it." in lines
    assert any(line.startswith("    WARN offsite: ") for line in lines)
    counts = next(line for line in lines if line.startswith("  preflight done"))
    assert re.search(r"\d+ PASS, \d+ WARN$", counts)


def test_fail(shop, capsys):
    """A failure stops the deploy, with reason and remedy, before a migration or a new container."""
    with pytest.raises(OpsError, match="deploy stopped at “preflight”"):
        shop.deploy(shop.fetched("second", findings=json.dumps([WARNED, FAILED])))
    assert "    FAIL connections: 208 connections = … Lower WEB_REPLICAS." in capsys.readouterr().out.splitlines()
    assert (shop.active_release, shop.running, shop.history[-1]) == ("first", ["first"], ("deploy", "second", "failed"))
    assert not any("schema pending" in done or "--pull never" in done for done in shop.docker.executed)


def test_no_script(shop, capsys):
    """An image without the check is deployed, with a note."""
    shop.deploy(shop.fetched("second", findings="null"))
    assert shop.active_release == "second"
    assert "so its connections are unknown" in capsys.readouterr().out


@pytest.mark.parametrize("printed", ["", "Deprecated: …\n[]", "[1]", '[{"check": "rights"}]'])
def test_invalid_output(shop, capsys, printed):
    """Invalid output of the check fails the deploy."""
    with pytest.raises(OpsError, match="stopped at “preflight”"):
        shop.deploy(shop.fetched("second", findings=printed))
    assert shop.active_release == "first"
    assert "printed no list of findings" in capsys.readouterr().out


def test_failed_run(shop, capsys):
    """A check that fails to run stops the deploy, with its output."""
    shop.docker.fail = failing(CHECK_SCRIPT)
    with pytest.raises(OpsError, match="stopped at “preflight”"):
        shop.deploy(shop.fetched("second"))
    assert "it is broken" in capsys.readouterr().out


def test_rollback(shop):
    """A rollback does not run the check."""
    shop.deploy(shop.fetched("second"))
    shop.docker.executed.clear()
    shop.rollback()
    assert check_runs(shop) == []


def test_dry_run(shop, capsys):
    """A dry run prints the command and does not run it."""
    shop.deploy(shop.fetched("second"), dry=True)
    assert check_runs(shop) == []
    assert any(f"python {CHECK_SCRIPT} --json" in line for line in capsys.readouterr().out.splitlines())


def fails(monkeypatch, name, deploy):
    """Make one check of the server fail, with this effect on a deploy."""

    def run(_server):
        yield finding.failed("it is broken.", "Mend it.")

    monkeypatch.setattr(registry, "CHECKS", (registry.Check(name, run, "", deploy=deploy),))


def test_server_failure(shop, monkeypatch, capsys):
    """A failure of the server is a warning in a deploy that does not make it worse."""
    fails(monkeypatch, "backups", "warns")
    shop.deploy(shop.fetched("second"))
    assert shop.active_release == "second"
    assert "    WARN backups: it is broken. Mend it." in capsys.readouterr().out.splitlines()


def test_server_failure_that_stops(shop, monkeypatch, capsys):
    """A failure that a deploy would make worse stops it before any change."""
    fails(monkeypatch, "disk", "stops")
    with pytest.raises(OpsError, match="deploy stopped at “preflight”"):
        shop.deploy(shop.fetched("second"))
    assert "    FAIL disk: it is broken. Mend it." in capsys.readouterr().out.splitlines()
    assert shop.active_release == "first"


def test_check_skipped_in_a_deploy(shop, monkeypatch, capsys):
    """A deploy skips the check of services, which it starts."""
    fails(monkeypatch, "services", "")
    shop.deploy(shop.fetched("second"))
    assert "it is broken" not in capsys.readouterr().out


@pytest.fixture
def report(shop, monkeypatch, capsys):
    """Return a function that runs `ops check` and returns its exit code and output."""
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda is_dry_run: FakeRunner(is_dry_run, docker=shop.docker))
    monkeypatch.setattr(registry, "CHECKS", ())

    def run(*argv, **behaviour):
        image = Image("first", **behaviour)
        shop.docker.images[f"shop:{shop.server().traffic.colour}"] = image
        capsys.readouterr()
        return main.main(["check", *argv]), capsys.readouterr().out

    return run


@pytest.mark.parametrize(("found", "code", "strict_code"), [(PASSED, 0, 0), (WARNED, 0, 1), (FAILED, 1, 1)])
def test_command_check(report, found, code, strict_code):
    """`ops check` exits with 1 on a failure, with --strict on a warning too, and prints each finding."""
    ended, output = report(findings=json.dumps([found]))
    assert (ended, output.splitlines()[-1]) == (code, f"1 {found['state']}")
    assert output.startswith(f"{found['state']} {found['check']}: ")
    assert report("--strict", findings=json.dumps([found]))[0] == strict_code


def test_command_check_json(report, monkeypatch):
    """--json prints one list of the application's and the server's findings."""
    fails(monkeypatch, "disk", "stops")
    ended, output = report("--json", findings=json.dumps([PASSED]))
    own = {"check": "disk", "state": "FAIL", "reason": "it is broken.", "remedy": "Mend it."}
    assert (ended, json.loads(output)) == (1, [PASSED, own])


def test_command_check_runs_in_the_live_image(report, shop):
    """The check runs in the live colour's image, where pending migrations are a failure."""
    report(findings="[]")
    [place] = check_runs(shop)
    assert "MIGRATE_IMAGE=shop:green" in shop.docker.executed[place]
    assert "--before-migrating" not in shop.docker.executed[place]


@pytest.mark.parametrize(
    ("behaviour", "state", "message"),
    [
        ({"findings": "null"}, "WARN", "has no scripts/check_production.py"),
        ({"findings": ""}, "FAIL", "printed no list of findings"),
    ],
)
def test_command_check_without_the_application(report, behaviour, state, message):
    """A check that fails to run is a finding, not a traceback."""
    ended, output = report(**behaviour)
    assert (ended, output.startswith(f"{state} application: "), message in output) == (int(state == "FAIL"), True, True)


def test_command_check_before_the_first_deploy(new_shop, monkeypatch):
    """On a new server the missing application is a warning."""
    monkeypatch.setattr(registry, "CHECKS", ())
    [found] = check.check_application(new_shop.server())
    assert (found.state, found.reason) == ("WARN", "nothing is deployed yet.")


@pytest.mark.parametrize(
    ("python", "code", "printed"), [(None, 0, "null\n"), ("exit 0", 0, ""), ("exit 1", 0, ""), ("exit 2", 1, "")]
)
def test_command(tmp_path, python, code, printed):
    """The command tells an image without the check from a failed check (1) and from a failure to run it."""
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
