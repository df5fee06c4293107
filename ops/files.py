"""Files put in place whole, and readable for the containers that use them, whatever the caller's umask says."""

from __future__ import annotations

import ctypes
import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put a new file in the old one's place: whoever reads it meanwhile sees the one or the other."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o644)
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """Put a copy of a file in another one's place, unless they are the same: a full disk then stops nothing."""
    mode = 0o755 if os.access(source, os.X_OK) else 0o644
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        target.chmod(mode)
        return
    new = target.with_name(f"{target.name}.new")
    try:
        shutil.copyfile(source, new)
    except OSError:  # half a file must not keep a full disk full
        new.unlink(missing_ok=True)
        raise
    new.chmod(mode)
    new.replace(target)


def folder(path: Path) -> None:
    """Make a folder that the user of a container may enter."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)


def add(source: Path, target: Path, names: Iterable[Path]) -> None:
    """Put copies of some of a folder's files into another one, each whole; whatever else lies there stays."""
    folder(target)
    for name in sorted(names):
        for parent in reversed(list(name.parents)[:-1]):
            folder(target / parent)
        copy(source / name, target / name)


def mirror(source: Path, target: Path) -> None:
    """Make a folder the same as another one, file by file, so that it is there at every moment; the rest goes."""
    wanted = _within(source)
    if not wanted:
        raise FileNotFoundError(f"{source} has no files, so {target} is left as it is")
    add(source, target, wanted)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in wanted:
            path.unlink()


def same(source: Path, target: Path) -> bool:
    """Whether a folder is already what `mirror` would make it."""
    names = _within(source)
    return names == _within(target) and not filecmp.cmpfiles(source, target, map(str, names), shallow=False)[1]


def _within(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def swap(source: Path, target: Path) -> None:
    """Make a folder a copy of another one, in one step: at every moment it is the old one or the new one, whole."""
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    mirror(source, new)
    if not target.exists() or not _exchange(new, target):
        remove(target)
        new.replace(target)
    shutil.rmtree(new, ignore_errors=True)


def remove(folder: Path) -> None:
    """Take a folder away, if it is there, at once: killed in the middle, what is left of it has another name."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places (renameat2, RENAME_EXCHANGE); False where the file system or libc cannot."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: https://man7.org/linux/man-pages/man2/rename.2.html
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
