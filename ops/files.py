"""Files put in place whole, and readable for the containers that use them, whatever the caller's umask says."""

from __future__ import annotations

import os
import shutil
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
    """Put a copy of a file in another one's place."""
    new = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, new)
    new.chmod(0o644)
    new.replace(target)


def folder(path: Path) -> None:
    """Make a folder that the user of a container may enter."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)


def mirror(source: Path, target: Path) -> None:
    """Make a folder the same as another one, file by file, so that it is there at every moment; the rest goes."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    folder(target)
    for name in sorted(wanted):
        for parent in reversed(name.parents[:-1]):
            folder(target / parent)
        copy(source / name, target / name)
        if os.access(source / name, os.X_OK):
            (target / name).chmod(0o755)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target) not in wanted:
            path.unlink()
