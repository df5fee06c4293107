"""Static files with a content hash in their names, so that browsers can cache them forever.

`url_for("static", filename="docs.css")` returns /static/docs.0123456789ab.css. In production nginx serves the output of
scripts/build_static.py; this module serves everything else, and all files where there is no nginx.
"""

import hashlib
import stat
from pathlib import Path
from posixpath import splitext
from typing import Any

from flask import Flask, Response, send_from_directory
from werkzeug.security import safe_join

DIGITS = 12
IMMUTABLE = "public, max-age=31536000, immutable"  # a year, the longest useful age: RFC 9111, 1.2.2, and RFC 8246
REVALIDATE = "no-cache"


def init_app(app: Flask) -> None:
    """Add the hash to each static URL; serve files by their hashed and plain names."""
    files = StaticFiles(str(app.static_folder))
    app.url_defaults(files.add_hash)
    app.view_functions["static"] = files.serve


class StaticFiles:
    """A folder of files; caches the hash of each file until the file changes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._cache: dict[str, tuple[tuple[int, int], str]] = {}

    def add_hash(self, endpoint: str, values: dict[str, Any]) -> None:
        """Replace the file name in the arguments of `url_for`."""
        if endpoint == "static" and "filename" in values:
            values["filename"] = self.hashed_name(values["filename"])

    def serve(self, filename: str) -> Response:
        """Return a file by either name; raise NotFound.

        A hash that does not match belongs to another release. Serving the current content under it would let browsers
        cache the wrong file.
        """
        plain = plain_name(filename)
        is_current = plain != filename and self.hashed_name(plain) == filename
        name = plain if is_current else filename
        response = send_from_directory(self.folder, name, etag=self.digest(name) or True)
        response.headers["Cache-Control"] = IMMUTABLE if is_current else REVALIDATE
        return response

    def hashed_name(self, name: str) -> str:
        """Return the name with the hash before the extension; the unchanged name if there is no such file."""
        stem, extension = splitext(name)
        digest = self.digest(name)
        return f"{stem}.{digest}{extension}" if digest else name

    def digest(self, name: str) -> str | None:
        """Return the hash of a file's content; None if the file cannot be read."""
        path = safe_join(self.folder, name)
        try:
            return self._digest(Path(path)) if path else None
        except (OSError, ValueError):  # ValueError: the name contains NUL
            return None

    def _digest(self, path: Path) -> str | None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        version = (status.st_mtime_ns, status.st_size)
        cached = self._cache.get(str(path))
        if cached is None or cached[0] != version:
            with path.open("rb") as file:
                cached = version, hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
            self._cache[str(path)] = cached
        return cached[1]


def plain_name(name: str) -> str:
    """Remove the hash from a name: docs.0123456789ab.css becomes docs.css."""
    stem, extension = splitext(name)
    rest, middle = splitext(stem)
    if _is_digest(middle):
        return rest + extension
    return stem if _is_digest(extension) and not middle else name


def _is_digest(extension: str) -> bool:
    return len(extension) == 1 + DIGITS and set(extension[1:]) <= set("0123456789abcdef")
