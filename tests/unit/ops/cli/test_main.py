"""The command line: exit codes, what is refused before anything runs, and the dry run."""

import os
import shutil

import pytest

from ops.cli import main
from ops.errors import Interrupted
from ops.release import fetch
from tests.support.ops.fake_server import FakeRunner

TAG = "registry.example/shop:latest"


@pytest.fixture
def ops(shop, monkeypatch):
    """Return a function that gives a command in the server's folder and returns its exit code."""
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda dry: FakeRunner(dry=dry, docker=shop.docker))

    def give(*argv):
        return main.main(list(argv))

    return give


@pytest.fixture
def fetched(monkeypatch):
    """The image is fetched already: this is the release's own ops."""
    return lambda image: monkeypatch.setenv(fetch.FETCHED, image.name)


def test_good(shop, ops, fetched):
    """0 means that the new release serves."""
    image = shop.fetched("second")
    fetched(image)
    assert ops("deploy", image.name) == 0
    assert shop.users_meet == "second"


def test_bad(shop, ops, fetched, capsys):
    """1 means that it does not; what was seen is said, and who serves."""
    image = shop.fetched("second", api=500)
    fetched(image)
    assert ops("deploy", image.name) == 1
    assert "/api/products of web-blue answered: 500" in capsys.readouterr().out
    assert shop.users_meet == "first"


@pytest.mark.parametrize("argv", [["deploy", TAG], ["canary", TAG], ["deploy", TAG, "--dry-run"]])
def test_by_tag(shop, ops, capsys, argv):
    """2 means that nothing was begun: an image by a tag is refused before any command runs."""
    assert ops(*argv) == 2
    assert "Refused:" in capsys.readouterr().out
    assert shop.docker.done == []


def test_interrupted(shop, ops, at_step, fetched):
    """Told to stop, it ends with 1."""
    image = shop.fetched("second")
    fetched(image)
    at_step("ready", Interrupted("SIGTERM"))
    assert ops("deploy", image.name) == 1


def test_system_error(shop, ops, capsys):
    """What the system refuses ends with 1 and one line, not with a stack trace."""
    shutil.rmtree(shop.folder / "state")
    assert ops("rollback") == 1
    assert "FileNotFoundError" in capsys.readouterr().out


def test_elsewhere(tmp_path, monkeypatch, capsys):
    """In a folder that is no server's it is refused, and the message says where to go."""
    monkeypatch.chdir(tmp_path)
    assert main.main(["status"]) == 2
    assert "Run this in the server's folder" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        *[[], ["deploy"], ["destroy"], ["deploy", "x", "--force"], ["canary", "x", "--percent", "0"]],
        *[["canary", "x", "--percent", "100"], ["deploy", "x", "--canary", "1.5"], ["deploy", "x", "--dry"]],
    ],
)
def test_usage(ops, shop, argv, capsys):
    """A command line that cannot be understood ends with 2, and nothing runs."""
    with pytest.raises(SystemExit) as end:
        ops(*argv)
    assert end.value.code == 2
    assert shop.docker.done == []
    assert "usage:" in capsys.readouterr().err


def test_gated(shop, ops, monkeypatch, capsys):
    """The deploy key's command is held to what that key may bring, before anything is fetched."""
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", f"deploy {shop.fetched('second').name}")
    assert ops("forced-command") == 2
    assert "This key may bring nothing yet" in capsys.readouterr().out
    assert not any("pull" in done for done in shop.docker.done)


@pytest.mark.parametrize(
    "argv",
    [
        *[["rollback", "--timeout", "nan"], ["rollback", "--timeout", "inf"], ["rollback", "--timeout", "0"]],
        *[["logs", "--", "--host=evil"], ["logs", "../web"], ["logs", "--tail", "all"]],
    ],
)
def test_bad_words(shop, ops, capsys, argv):
    """A time that never ends, or an option of Compose's in a service's place, is refused before anything runs."""
    with pytest.raises(SystemExit) as end:
        ops(*argv)
    assert end.value.code == 2
    assert shop.docker.done == []
    assert "usage:" in capsys.readouterr().err


def contents(folder):
    """Return what each file holds."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths}


CHANGING = ("up ", "stop ", "run ", "pull", "tag", "create", "cp ", " rm", "reload", "cosign", "nginx -c")


@pytest.mark.parametrize("argv", [["deploy"], ["canary"], ["deploy", "--canary", "5"], ["deploy", "--allow-contract"]])
@pytest.mark.parametrize("here", [True, False])
def test_dry_run(shop, ops, fetched, argv, here):
    """A dry run changes nothing on the disk and runs no command that changes anything."""
    image = shop.fetched("second", pending='[{"revision": "7", "contract": true, "title": "drop"}]')
    if here:
        fetched(image)
    before = contents(shop.folder)
    assert ops(*argv, image.name, "--dry-run") == 0
    assert contents(shop.folder) == before
    assert [done for done in shop.docker.done if any(word in done for word in CHANGING)] == []


def test_dry_run_prints(shop, ops, fetched, capsys):
    """It prints the commands, as they can be copied into a shell."""
    image = shop.fetched("second")
    fetched(image)
    ops("deploy", image.name, "--dry-run")
    assert f"would run: docker image tag {image.name} shop:blue" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["rollback", "promote", "abort"])
def test_other_dry_runs(shop, ops, command):
    """Nor do the other commands' dry runs."""
    if command == "rollback":
        shop.deploy(shop.fetched("second"))
    else:
        shop.canary(shop.fetched("second"))
    shop.docker.done.clear()
    before = contents(shop.folder)
    assert ops(command, "--dry-run") == 0
    assert contents(shop.folder) == before
    assert [done for done in shop.docker.done if any(word in done for word in CHANGING)] == []


def test_gate(ops, monkeypatch, capsys):
    """The gate carries out what the client of the deploy key asks for, and refuses what it may not."""
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", f"deploy {TAG}")
    assert ops("forced-command") == 2
    assert "names no digest" in capsys.readouterr().out
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "init --host evil.example")
    assert ops("forced-command") == 2
    assert "may not" in capsys.readouterr().out


def test_logs(ops, monkeypatch):
    """Logs becomes Compose, with the argv that were given."""
    became = []
    monkeypatch.setattr(os, "execvp", lambda _program, argv: became.extend(argv))
    assert ops("logs", "--tail", "5", "--follow", "web-blue") == 0
    assert became[-5:] == ["logs", "--tail", "5", "--follow", "web-blue"]


def test_status(ops, capsys):
    """Status says which release has the users, for people and as JSON."""
    assert ops("status") == 0
    assert "web-green  100 %    first" in capsys.readouterr().out
    assert ops("status", "--json") == 0
    assert '"active_colour": "green"' in capsys.readouterr().out
