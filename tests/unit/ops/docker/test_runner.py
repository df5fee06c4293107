"""The runner: what an error says, and what a dry run does."""

import pytest

from ops.docker.runner import Runner
from ops.errors import OpsError


def test_output():
    """What a command prints is returned."""
    assert Runner().query(["echo", "a b"]) == "a b\n"


def test_failure():
    """A failed command is named so that it can be tried, with its exit code and the end of what it said."""
    with pytest.raises(OpsError, match=r"sh -c '.*'\nexited with 3:\n") as failure:
        Runner().execute(["sh", "-c", "seq 100; echo no >&2; exit 3"])
    assert "    99\n    100\n    no" in str(failure.value)
    assert "    10\n" not in str(failure.value)


def test_not_installed():
    """A command that is not there is a failure with its name, not a stack trace."""
    with pytest.raises(OpsError, match="no-such-command is not installed"):
        Runner().query(["no-such-command"])


def test_deadline():
    """Each command has a deadline, and the message says which one it missed."""
    with pytest.raises(OpsError, match=r"sleep 60\ntimed out after 0 s"):
        Runner().query(["sleep", "60"], timeout=0.1)


def test_no_input():
    """A command that asks a question gets no answer, rather than waiting for one."""
    assert Runner().query(["cat"]) == ""


@pytest.mark.parametrize("argv", [["sh", "-c", "echo seen; exit 1"], ["sh", "-c", "echo seen >&2"]])
def test_tell(argv):
    """To be told, failing and errors are part of the answer."""
    assert Runner().try_run(argv) == "seen\n"


def test_dry_run(tmp_path, capsys):
    """A dry run looks, and prints what would change something, quoted for a shell."""
    runner = Runner(is_dry_run=True)
    assert runner.query(["echo", "seen"]) == "seen\n"
    assert runner.execute(["touch", f"{tmp_path}/a b"]) == ""
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == f"    would run: touch '{tmp_path}/a b'\n"
