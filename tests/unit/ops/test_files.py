"""Atomic file operations, under a restrictive umask."""

import os
import stat

import pytest

from ops import files


@pytest.fixture(autouse=True)
def _umask():
    """Create files that only their owner may read by default."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def source(tmp_path):
    """A folder with a script, a text and compiled code."""
    for name in ("roles.sh", "deep/text", "__pycache__/module.pyc"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(name, encoding="utf-8")
    (tmp_path / "source/roles.sh").chmod(0o755)
    return tmp_path / "source"


def modes(folder):
    """Return the mode of each file and folder in a folder."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_mirror(tmp_path, source):
    """Files are world-readable, scripts stay executable, compiled code is not copied."""
    files.mirror(source, tmp_path / "target")
    assert modes(tmp_path / "target") == {"roles.sh": 0o755, "deep": 0o755, "deep/text": 0o644}


def test_mirror_creates_parents(tmp_path, source):
    """Missing parents get mode 755 too."""
    files.mirror(source, tmp_path / "deploy/postgres")
    assert stat.S_IMODE((tmp_path / "deploy").stat().st_mode) == 0o755


@pytest.mark.parametrize("change", ["roles.sh", "deep/text", "new", "deep/new"])
def test_same(tmp_path, source, change):
    """A mirrored folder is the same until a file is changed or added."""
    files.mirror(source, tmp_path / "target")
    assert files.is_same_tree(source, tmp_path / "target")
    (tmp_path / "target" / change).write_text("other", encoding="utf-8")
    assert not files.is_same_tree(source, tmp_path / "target")
    assert not files.is_same_tree(tmp_path / "target", source)


def test_mirror_removes_files(tmp_path, source):
    """Files that the source lacks are removed."""
    (tmp_path / "target/deep").mkdir(parents=True)
    (tmp_path / "target/deep/old").write_text("", encoding="utf-8")
    files.mirror(source, tmp_path / "target")
    assert not (tmp_path / "target/deep/old").exists()


@pytest.mark.parametrize("put", [lambda _source, path: files.write(path, "new"), files.copy])
def test_atomic_replacement(tmp_path, put):
    """A reader with the old file open reads all of it; the new file is world-readable."""
    (tmp_path / "source").write_text("new", encoding="utf-8")
    target = tmp_path / "target"
    target.write_text("old", encoding="utf-8")
    with target.open(encoding="utf-8") as old:
        put(tmp_path / "source", target)
        assert old.read() == "old"
    assert (target.read_text(encoding="utf-8"), stat.S_IMODE(target.stat().st_mode)) == ("new", 0o644)
