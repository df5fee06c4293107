"""Files put in place: whole, readable for containers, and the same as where they come from."""

import os
import stat

import pytest

from ops import files


@pytest.fixture(autouse=True)
def _careful_person():
    """The person who deploys keeps what they write to themselves."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def source(tmp_path):
    """A folder to be mirrored: a script, a text, compiled code."""
    for name in ("roles.sh", "deep/text", "__pycache__/module.pyc"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(name, encoding="utf-8")
    (tmp_path / "source/roles.sh").chmod(0o755)
    return tmp_path / "source"


def modes(folder):
    """Return the rights of each file and folder in a folder."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_mirror(tmp_path, source):
    """Everybody may read it, a script can still be started, and compiled code stays behind."""
    files.mirror(source, tmp_path / "target")
    assert modes(tmp_path / "target") == {"roles.sh": 0o755, "deep": 0o755, "deep/text": 0o644}


@pytest.mark.parametrize("change", ["roles.sh", "deep/text", "new", "deep/new"])
def test_same(tmp_path, source, change):
    """A mirrored folder is the same, until a file in it is another one or there is one more."""
    files.mirror(source, tmp_path / "target")
    assert files.same(source, tmp_path / "target")
    (tmp_path / "target" / change).write_text("other", encoding="utf-8")
    assert not files.same(source, tmp_path / "target")
    assert not files.same(tmp_path / "target", source)


def test_mirror_takes_away(tmp_path, source):
    """What is not in the one is not in the other."""
    (tmp_path / "target/deep").mkdir(parents=True)
    (tmp_path / "target/deep/old").write_text("", encoding="utf-8")
    files.mirror(source, tmp_path / "target")
    assert not (tmp_path / "target/deep/old").exists()


@pytest.mark.parametrize("put", [lambda _source, path: files.write(path, "new"), files.copy])
def test_replaced_whole(tmp_path, put):
    """Whoever has the old file open goes on reading all of it, and the new one is readable for everybody."""
    (tmp_path / "source").write_text("new", encoding="utf-8")
    target = tmp_path / "target"
    target.write_text("old", encoding="utf-8")
    with target.open(encoding="utf-8") as old:
        put(tmp_path / "source", target)
        assert old.read() == "old"
    assert (target.read_text(encoding="utf-8"), stat.S_IMODE(target.stat().st_mode)) == ("new", 0o644)
