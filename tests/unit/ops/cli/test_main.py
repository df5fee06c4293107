"""The command line: exit codes, arguments that are refused before anything runs, and the dry run."""

import os
import re
import shutil

import pytest

from ops.cli import main
from ops.errors import Interrupted
from ops.release.bundle import bundle_of
from ops.release.pipeline import COMMANDS
from tests.support.ops.fake_docker import FakeRunner
from tests.support.ops.faults import Killed, failing

TAG = "registry.example/shop:latest"


@pytest.fixture
def ops(shop, monkeypatch):
    """Return a function that runs a command in the server's folder and returns its exit code."""
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda is_dry_run: FakeRunner(is_dry_run, docker=shop.docker))

    def run(*argv, fetched=False):
        lock = ["--lock-fd", str(os.open(shop.folder / "state/lock", os.O_RDWR | os.O_CREAT))] if fetched else []
        return main.main([*lock, *argv])

    return run


def test_success(shop, ops):
    """Exit code 0 means that the new release has all traffic."""
    assert ops("deploy", shop.fetched("second").name, fetched=True) == 0
    assert shop.active_release == "second"


def test_failure(shop, ops, capsys):
    """Exit code 1 means that it has not; the output names the cause."""
    assert ops("deploy", shop.fetched("second", api=500).name, fetched=True) == 1
    assert "/api/products of web-blue returned 500" in capsys.readouterr().out
    assert shop.active_release == "first"


def test_incomplete(shop, ops):
    """A failed drain is a failure, though the new release has all traffic."""
    shop.docker.fail = failing("[s]hutting down", after=3)  # the reload queries the workers too
    assert ops("deploy", shop.fetched("second").name, fetched=True) == 1
    assert shop.active_release == "second"


@pytest.mark.parametrize("argv", [["deploy", TAG], ["canary", TAG], ["deploy", TAG, "--dry-run"]])
def test_by_tag(shop, ops, capsys, argv):
    """Exit code 2 means that nothing began: an image by tag is refused before any command runs."""
    assert ops(*argv) == 2
    assert "Refused:" in capsys.readouterr().out
    assert shop.docker.executed == []


def test_interrupted(shop, ops, at_step):
    """An interrupted command exits with 1."""
    at_step("ready", Interrupted("SIGTERM"))
    assert ops("deploy", shop.fetched("second").name, fetched=True) == 1


def test_system_error(shop, ops, capsys):
    """A system error exits with 1 and one line, not a traceback."""
    shutil.rmtree(shop.folder / "state")
    assert ops("rollback") == 1
    assert "FileNotFoundError" in capsys.readouterr().out


def test_elsewhere(tmp_path, monkeypatch, capsys):
    """Outside a server's folder, commands are refused."""
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
    """Invalid arguments exit with 2, and nothing runs."""
    with pytest.raises(SystemExit) as end:
        ops(*argv)
    assert end.value.code == 2
    assert shop.docker.executed == []
    assert "usage:" in capsys.readouterr().err


def test_untrusted_image(shop, ops, monkeypatch, capsys):
    """The deploy key cannot deploy an untrusted image; nothing is fetched."""
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", f"deploy {shop.fetched('second').name}")
    assert ops("forced-command") == 2
    assert "This key may not deploy yet" in capsys.readouterr().out
    assert not any("pull" in done for done in shop.docker.executed)


@pytest.mark.parametrize(
    "argv",
    [
        *[["rollback", "--timeout", "nan"], ["rollback", "--timeout", "inf"], ["rollback", "--timeout", "0"]],
        *[["logs", "--", "--host=evil"], ["logs", "../web"], ["logs", "--tail", "all"]],
    ],
)
def test_invalid_values(shop, ops, capsys, argv):
    """An infinite duration, or a Compose option as a service, is refused before anything runs."""
    with pytest.raises(SystemExit) as end:
        ops(*argv)
    assert end.value.code == 2
    assert shop.docker.executed == []
    assert "usage:" in capsys.readouterr().err


def contents(folder):
    """Return the content of each file, except the lock's."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path != folder / "state/lock"]
    return {path: path.read_bytes() for path in paths}


CHANGING = ("up ", "stop ", "run ", "pull", "tag", "create", "cp ", " rm", "reload", "cosign", "nginx -c")


@pytest.mark.parametrize("argv", [["deploy"], ["canary"], ["deploy", "--canary", "5"], ["deploy", "--allow-contract"]])
@pytest.mark.parametrize("fetched", [True, False])
def test_dry_run(shop, ops, argv, fetched):
    """A dry run changes no file and runs no command that changes anything."""
    image = shop.fetched("second", pending='[{"revision": "7", "contract": true, "title": "drop"}]')
    before = contents(shop.folder)
    assert ops(*argv, image.name, "--dry-run", fetched=fetched) == 0
    assert contents(shop.folder) == before
    assert [done for done in shop.docker.executed if any(word in done for word in CHANGING)] == []


def test_dry_run_output(shop, ops, capsys):
    """A dry run prints the commands, quoted for a shell, and the steps of a deploy in order."""
    image = shop.fetched("second")
    ops("deploy", image.name, "--dry-run")
    output = capsys.readouterr().out
    assert f"would run: docker image tag {image.name} shop:blue" in output
    steps = re.findall(r"^  (\w+) …$", output, re.MULTILINE)
    assert steps == ["pull", "unpack", *(name for name in COMMANDS["deploy"] if name != "canary"), "prune"]


def test_dry_run_without_the_image(shop, ops):
    """A dry run of an image that was never pulled shows the whole deploy."""
    image = shop.fetched("second")
    del shop.docker.images[image.name]
    shutil.rmtree(bundle_of(shop.server(), image.name))
    assert ops("deploy", image.name, "--dry-run") == 0


def test_dry_run_after_a_kill(shop, ops, at_step):
    """A dry run prints the recovery of a killed command and leaves it to the next one."""
    at_step("verify", Killed())
    with pytest.raises(Killed):
        shop.deploy(shop.fetched("second"))
    shop.docker.executed.clear()
    before = contents(shop.folder)
    ops("rollback", "--dry-run")
    assert contents(shop.folder) == before
    assert [done for done in shop.docker.executed if any(word in done for word in CHANGING)] == []


@pytest.mark.parametrize("command", ["rollback", "promote", "abort"])
def test_other_dry_runs(shop, ops, command):
    """The dry runs of the other commands change nothing either."""
    if command == "rollback":
        shop.deploy(shop.fetched("second"))
    else:
        shop.canary(shop.fetched("second"))
    shop.docker.executed.clear()
    before = contents(shop.folder)
    assert ops(command, "--dry-run") == 0
    assert contents(shop.folder) == before
    assert [done for done in shop.docker.executed if any(word in done for word in CHANGING)] == []


def test_forced_command(ops, monkeypatch, capsys):
    """`forced-command` runs the client's command and refuses others."""
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", f"deploy {TAG}")
    assert ops("forced-command") == 2
    assert "has no digest" in capsys.readouterr().out
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "init --host evil.example")
    assert ops("forced-command") == 2
    assert "not allowed" in capsys.readouterr().out


def test_logs(ops, monkeypatch):
    """`logs` replaces the process with Compose and its arguments."""
    replaced = []
    monkeypatch.setattr(os, "execvp", lambda _program, argv: replaced.extend(argv))
    assert ops("logs", "--tail", "5", "--follow", "web-blue") == 0
    assert replaced[-5:] == ["logs", "--tail", "5", "--follow", "web-blue"]


def test_status(ops, capsys):
    """`status` shows the active release, as text and as JSON."""
    assert ops("status") == 0
    assert "web-green  100 %    first" in capsys.readouterr().out
    assert ops("status", "--json") == 0
    assert '"active_colour": "green"' in capsys.readouterr().out


def test_dry_run_on_a_new_server(new_shop, monkeypatch):
    """A dry run of the first deploy needs no running nginx."""
    monkeypatch.chdir(new_shop.folder)
    monkeypatch.setattr(main, "Runner", lambda is_dry_run: FakeRunner(is_dry_run, docker=new_shop.docker))
    new_shop.docker.fail = failing("docker exec", times=99)
    assert main.main(["deploy", new_shop.fetched("first").name, "--dry-run"]) == 0
