"""Secrets are files, which nobody but the application's user may read."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from .finding import Finding, failed, passed, warned
from .production import Production

SECRETS = (
    *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "MIGRATION_DATABASE_URL"),
    *("REDIS_URL", "SESSION_REDIS_URL", "SENTRY_DSN"),
)
ALWAYS = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DATABASE_URL",
    "REDIS_URL",
)  # of the others an address may be no secret
PASSWORD = re.compile(r":[^/@]*@|[?&]password=")
REMEDY = "chmod 600 the file on the server, and let it belong to the user who runs the application: python3 -m ops init"


def check(production: Production) -> Iterator[Finding]:
    """Look at the mode of each secret's file, and name those that are in no file."""
    known = production.variables
    paths = {name: Path(known[f"{name}_FILE"]) for name in SECRETS if known.get(f"{name}_FILE")}
    faults = [fault for name, path in paths.items() if (fault := _fault(name, path))]
    yield from faults
    bare = [name for name in SECRETS if known.get(name) and (name in ALWAYS or PASSWORD.search(known[name]))]
    if bare:
        remedy = f"Put each into a file, and name that: {bare[0]}_FILE=/run/secrets/{bare[0].lower()}"
        yield warned(f"{', '.join(bare)}: every process that is started, and `docker inspect`, shows them.", remedy)
    if not bare and not faults:
        yield passed(f"{', '.join(paths)}: in files that only this user may read.")


def _fault(name: str, path: Path) -> Finding | None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        who = "everybody may read" if mode & stat.S_IROTH else "others may write"
        return failed(f"{who} {path}, the file of {name} (mode {mode:03o}).", REMEDY)
    if mode & stat.S_IRGRP:
        return warned(f"a group may read {path}, the file of {name} (mode {mode:03o}).", REMEDY)
    return None
