"""A release's own look at the server: what fails refuses the deploy before anything is changed, the rest is a note."""

import json
import subprocess

import pytest

from ops import commands
from ops.errors import Failure
from tests.unit.ops.faults import failing

PASSED = {"check": "rights", "state": "PASS", "reason": "app cannot change the schema.", "remedy": ""}
WARNED = {"check": "pooler", "state": "WARN", "reason": "a statement may take 2000 ms.", "remedy": "Make it anew."}
FAILED = {"check": "connections", "state": "FAIL", "reason": "208 connections = …", "remedy": "Lower WEB_REPLICAS."}


def looks(shop):
    """Return the places of the looks among the commands."""
    return [index for index, done in enumerate(shop.server.done) if commands.PRODUCTION in done]


def test_pass(shop, capsys):
    """Where all is well it is looked at once, in the new image, before its migrations, and nothing is said of it."""
    image = shop.fetched("second", findings=json.dumps([PASSED]))
    shop.deploy(image)
    [place] = looks(shop)
    assert f"MIGRATE_IMAGE={image.name}" in shop.server.done[place]
    assert place < next(index for index, done in enumerate(shop.server.done) if "schema pending" in done)
    assert "rights" not in capsys.readouterr().out


def test_warn(shop, capsys):
    """What it warns of is the step's note, and stops nothing."""
    shop.deploy(shop.fetched("second", findings=json.dumps([PASSED, WARNED])))
    assert shop.users_meet == "second"
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  check done"))
    assert said.endswith("WARN pooler: a statement may take 2000 ms. Make it anew.")


def test_fail(shop, capsys):
    """What fails stops the deploy at “check”, with reason and remedy, before a migration or a container is started."""
    with pytest.raises(Failure, match="deploy stopped at “check”"):
        shop.deploy(shop.fetched("second", findings=json.dumps([WARNED, FAILED])))
    assert "    FAIL connections: 208 connections = … Lower WEB_REPLICAS." in capsys.readouterr().out.splitlines()
    assert (shop.users_meet, shop.running, shop.history[-1]) == ("first", ["first"], ("deploy", "second", "failed"))
    assert not any("schema pending" in done or "--pull never" in done for done in shop.server.done)


def test_absent(shop, capsys):
    """An image that has no such check is deployed, and it is said that nobody has looked."""
    shop.deploy(shop.fetched("second", findings="null"))
    assert shop.users_meet == "second"
    assert "nobody has added its connections up" in capsys.readouterr().out


@pytest.mark.parametrize("printed", ["", "Deprecated: …\n[]"])
def test_no_answer(shop, capsys, printed):
    """An image that prints something else is a failed deploy like any other."""
    with pytest.raises(Failure, match="stopped at “check”"):
        shop.deploy(shop.fetched("second", findings=printed))
    assert shop.users_meet == "first"
    assert "did not print a list" in capsys.readouterr().out


def test_cannot_be_run(shop, capsys):
    """A look that cannot be taken is no look: the deploy stops, with what was said."""
    shop.server.fail = failing(commands.PRODUCTION)
    with pytest.raises(Failure, match="stopped at “check”"):
        shop.deploy(shop.fetched("second"))
    assert "it is broken" in capsys.readouterr().out


def test_rollback(shop):
    """A rollback brings back what has served, and asks nothing."""
    shop.deploy(shop.fetched("second"))
    shop.server.done.clear()
    shop.rollback()
    assert looks(shop) == []


def test_dry(shop, capsys):
    """A dry run prints the command and looks at nothing."""
    shop.deploy(shop.fetched("second"), dry=True)
    assert looks(shop) == []
    assert any(f"python {commands.PRODUCTION} --json" in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("python", "code", "printed"), [(None, 0, "null\n"), ("exit 0", 0, ""), ("exit 1", 0, ""), ("exit 2", 1, "")]
)
def test_command(tmp_path, python, code, printed):
    """The command tells an image without the check from one whose check fails (1), and fails where it cannot be run."""
    words = commands.Compose("", "").check_production("image")
    if python:
        for path, text in ((tmp_path / commands.PRODUCTION, ""), (tmp_path / "bin/python", f"#!/bin/sh\n{python}\n")):
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    done = subprocess.run(
        words[-3:], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=10
    )
    assert (done.returncode, done.stdout) == (code, printed)
