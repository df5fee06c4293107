"""Make the files that Nginx serves of a folder of static files, by names that hold a hash of their content.

    python scripts/build_static.py FROM TO

TO/identity gets each of them, TO/gzip and TO/zstd those that get smaller by it; in each they lie where they are asked
for, in static/. The names are the application's own (app/http/static_files.py).
"""

import argparse
import gzip
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the application, wherever this is called from

from app.http.static_files import StaticFiles  # noqa: E402

SMALLER = 0.95  # of its size, at most, or it is not worth a client's unpacking it

Compress = Callable[[bytes], bytes]


def main() -> None:
    """Read the two folders from the command line, and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO")
    options = parser.parse_args()
    if not options.source.is_dir():
        parser.error(f"{options.source} is no folder")
    for encoding, count in build(options.source, options.target, compressors()).items():
        print(f"{encoding}: {count} files")


def compressors() -> dict[str, Compress]:
    """Return how to compress for each Content-Encoding but identity; exits where Python cannot."""
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        sys.exit("This needs the zstd of Python 3.14 or newer. The Dockerfile has it: docker build .")
    return {
        "gzip": lambda data: gzip.compress(data, 9, mtime=0),  # without a time: the same bytes from the same bytes
        # The highest level whose window each client has to have room for: https://www.rfc-editor.org/rfc/rfc9659
        "zstd": lambda data: zstd.compress(data, level=19),
    }


def build(source: Path, target: Path, compressors: Mapping[str, Compress]) -> dict[str, int]:
    """Make the folders, and return how many files each has got."""
    made = {"identity": 0, **dict.fromkeys(compressors, 0)}
    for encoding in made:
        (target / encoding / "static").mkdir(parents=True, exist_ok=True)
    files = StaticFiles(str(source))
    for name in names(source):
        for encoding, data in forms((source / name).read_bytes(), compressors).items():
            write(target / encoding / "static" / files.hashed_name(name), data)
            made[encoding] += 1
    return made


def names(folder: Path) -> list[str]:
    """Return the name of each file in a folder and the folders in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def forms(data: bytes, compressors: Mapping[str, Compress]) -> dict[str, bytes]:
    """Return the content by its encoding: as it is, and each compressed form that is worth it."""
    packed = {encoding: compress(data) for encoding, compress in compressors.items()}
    return {"identity": data, **{name: form for name, form in packed.items() if len(form) <= SMALLER * len(data)}}


def write(path: Path, data: bytes) -> None:
    """Write a file, and the folders in which it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
