"""Build the static files for nginx, with a hash of the content in each name.

    python scripts/build_static.py FROM TO

Writes every file to TO/identity/static/, and compressed copies that are smaller to TO/gzip/static/ and TO/zstd/static/.
The application uses the same names (app/http/static_files.py).
"""

import argparse
import gzip
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # makes `app` importable from any working directory

from app.http.static_files import StaticFiles  # noqa: E402

MAX_RATIO = 0.95  # of the original size; above that, decompression costs clients more than it saves

Compress = Callable[[bytes], bytes]


def main() -> None:
    """Build TO from FROM, and print the number of files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO")
    options = parser.parse_args()
    if not options.source.is_dir():
        parser.error(f"{options.source} is not a folder")
    for encoding, count in build(options.source, options.target, compressors()).items():
        print(f"{encoding}: {count} files")


def compressors() -> dict[str, Compress]:
    """Return a compressor for each Content-Encoding except identity; exit if Python lacks zstd."""
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        sys.exit("This requires zstd from Python 3.14 or newer, as in the Dockerfile: docker build .")
    return {
        "gzip": lambda data: gzip.compress(data, 9, mtime=0),  # no timestamp: a reproducible build
        # The highest level whose window size every client must support: https://www.rfc-editor.org/rfc/rfc9659
        "zstd": lambda data: zstd.compress(data, level=19),
    }


def build(source: Path, target: Path, compressors: Mapping[str, Compress]) -> dict[str, int]:
    """Create the folders, and return the number of files in each."""
    counts = {"identity": 0, **dict.fromkeys(compressors, 0)}
    for encoding in counts:
        (target / encoding / "static").mkdir(parents=True, exist_ok=True)
    files = StaticFiles(str(source))
    for name in list_files(source):
        for encoding, data in encode((source / name).read_bytes(), compressors).items():
            write(target / encoding / "static" / files.hashed_name(name), data)
            counts[encoding] += 1
    return counts


def list_files(folder: Path) -> list[str]:
    """Return the relative path of each file in a folder, recursively."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def encode(data: bytes, compressors: Mapping[str, Compress]) -> dict[str, bytes]:
    """Return the content by encoding: unchanged, and each compressed form that is small enough."""
    compressed = {encoding: compress(data) for encoding, compress in compressors.items()}
    return {
        "identity": data,
        **{name: small for name, small in compressed.items() if len(small) <= MAX_RATIO * len(data)},
    }


def write(path: Path, data: bytes) -> None:
    """Write a file, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
