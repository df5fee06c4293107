"""Atomic file operations; results are readable by the containers' users, whatever the umask."""

from __future__ import annotations

import ctypes
import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace a file atomically and flush it to disk."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o644)
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """Copy a file atomically; an identical target is left, so that a full disk does not matter."""
    mode = 0o755 if os.access(source, os.X_OK) else 0o644
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        target.chmod(mode)
        return
    new = target.with_name(f"{target.name}.new")
    try:
        shutil.copyfile(source, new)
    except OSError:  # a partial file must not fill the disk
        new.unlink(missing_ok=True)
        raise
    new.chmod(mode)
    new.replace(target)


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents with mode 755; an existing folder gets it too."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for folder in (*reversed(missing), path):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def copy_files(source: Path, target: Path, names: Iterable[Path]) -> None:
    """Copy some of a folder's files to another folder; its other files stay."""
    make_folder(target)
    for name in sorted(names):
        for parent in reversed(list(name.parents)[:-1]):
            make_folder(target / parent)
        copy(source / name, target / name)


def mirror(source: Path, target: Path) -> None:
    """Make a folder equal to another, file by file: a mounted folder must stay the same inode."""
    names = _within(source)
    if not names:
        raise FileNotFoundError(f"{source} has no files; {target} stays unchanged")
    copy_files(source, target, names)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in names:
            path.unlink()


def is_same_tree(source: Path, target: Path) -> bool:
    """Whether `mirror` would change nothing."""
    names = _within(source)
    return names == _within(target) and not filecmp.cmpfiles(source, target, map(str, names), shallow=False)[1]


def _within(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def replace_folder(source: Path, target: Path) -> None:
    """Replace a folder with a copy of another, atomically."""
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    mirror(source, new)
    if not target.exists() or not _exchange(new, target):
        remove_folder(target)
        new.replace(target)
    shutil.rmtree(new, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder; it is renamed first, so that a kill leaves no partial folder under its name."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders (renameat2, RENAME_EXCHANGE); False if the file system or libc cannot."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: https://man7.org/linux/man-pages/man2/rename.2.html
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
