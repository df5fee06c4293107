"""Static files by names that hold a hash of the content: such a name never means anything else, so it may be kept.

`url_for("static", filename="docs.css")` gives /static/docs.0123456789ab.css. In production Nginx serves what
scripts/build_static.py has made of them; everything else, and everything where no Nginx is in front, is served here.
"""

import hashlib
import stat
from pathlib import Path
from posixpath import splitext
from typing import Any

from flask import Flask, Response, send_from_directory
from werkzeug.security import safe_join

DIGITS = 12
KEEP = "public, max-age=31536000, immutable"  # a year, which means for ever: RFC 9111, section 1.2.2, and RFC 8246
ASK = "no-cache"


def init_app(app: Flask) -> None:
    """Put the hash into every URL of a static file, and serve the names with it and without."""
    files = StaticFiles(str(app.static_folder))
    app.url_defaults(files.name_by_content)
    app.view_functions["static"] = files.serve


class StaticFiles:
    """A folder of files, and the hash of each, which is computed anew when the file has changed."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._known: dict[str, tuple[tuple[int, int], str]] = {}

    def name_by_content(self, endpoint: str, values: dict[str, Any]) -> None:
        """Change the arguments of `url_for` where they name a static file."""
        if endpoint == "static" and "filename" in values:
            values["filename"] = self.hashed_name(values["filename"])

    def serve(self, filename: str) -> Response:
        """Answer for a file by either name; raises NotFound.

        A hash that is not the present content's is another release's. Under its name nothing else may be met, as that
        would be kept.
        """
        plain = plain_name(filename)
        keep = plain != filename and self.hashed_name(plain) == filename
        name = plain if keep else filename
        response = send_from_directory(self.folder, name, etag=self.digest(name) or True)
        response.headers["Cache-Control"] = KEEP if keep else ASK
        return response

    def hashed_name(self, name: str) -> str:
        """Return a file's name with its hash before the extension; the name as it is where there is no such file."""
        stem, extension = splitext(name)
        digest = self.digest(name)
        return f"{stem}.{digest}{extension}" if digest else name

    def digest(self, name: str) -> str | None:
        """Return the hash of a file's content; None where there is no file that can be read."""
        path = safe_join(self.folder, name)
        try:
            return self._digest(Path(path)) if path else None
        except (OSError, ValueError):  # ValueError: the name has a NUL in it
            return None

    def _digest(self, path: Path) -> str | None:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None
        state = (found.st_mtime_ns, found.st_size)
        known = self._known.get(str(path))
        if known is None or known[0] != state:
            with path.open("rb") as file:
                known = state, hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
            self._known[str(path)] = known
        return known[1]


def plain_name(name: str) -> str:
    """Return the name without the hash, docs.css for docs.0123456789ab.css; the same one if there is none in it."""
    stem, extension = splitext(name)
    rest, middle = splitext(stem)
    if _is_digest(middle):
        return rest + extension
    return stem if _is_digest(extension) and not middle else name


def _is_digest(extension: str) -> bool:
    return len(extension) == 1 + DIGITS and set(extension[1:]) <= set("0123456789abcdef")
