"""The runner: output, errors, timeouts and the dry run."""

import pytest

from ops.docker.runner import Runner
from ops.errors import OpsError


def test_output():
    """A query returns the output."""
    assert Runner().query(["echo", "a b"]) == "a b\n"


def test_failure():
    """An error has the command, its exit code and the end of its output."""
    with pytest.raises(OpsError, match=r"sh -c '.*'\nexited with 3:\n") as failure:
        Runner().execute(["sh", "-c", "seq 100; echo no >&2; exit 3"])
    assert "    99\n    100\n    no" in str(failure.value)
    assert "    10\n" not in str(failure.value)


def test_not_installed():
    """A missing program is an error with its name."""
    with pytest.raises(OpsError, match="no-such-command is not installed"):
        Runner().query(["no-such-command"])


def test_timeout():
    """A timeout is an error with the command and the limit."""
    with pytest.raises(OpsError, match=r"sleep 60\ntimed out after 0 s"):
        Runner().query(["sleep", "60"], timeout=0.1)


def test_no_input():
    """Commands have an empty input."""
    assert Runner().query(["cat"]) == ""


@pytest.mark.parametrize("argv", [["sh", "-c", "echo seen; exit 1"], ["sh", "-c", "echo seen >&2"]])
def test_try_run(argv):
    """`try_run` returns the output of a failed command too."""
    assert Runner().try_run(argv) == "seen\n"


def test_dry_run(tmp_path, capsys):
    """A dry run executes queries and prints changes, quoted for a shell."""
    runner = Runner(is_dry_run=True)
    assert runner.query(["echo", "seen"]) == "seen\n"
    assert runner.execute(["touch", f"{tmp_path}/a b"]) == ""
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == f"    would run: touch '{tmp_path}/a b'\n"
