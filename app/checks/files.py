"""Check that secrets are in files which only the application's user may read."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from .context import CheckContext
from .finding import Finding, failed, passed, warned

ALWAYS_SECRET = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "REDIS_URL")
WITH_PASSWORD = ("MIGRATION_DATABASE_URL", "SESSION_REDIS_URL", "SENTRY_DSN")  # secret only if they contain one
SECRETS = (*ALWAYS_SECRET, *WITH_PASSWORD)
PASSWORD = re.compile(r":[^/@]*@|[?&]password=")
REMEDY = "Set its owner to the application's user and its mode to 600; on a server: python3 -m ops init"


def check(context: CheckContext) -> Iterator[Finding]:
    """Check the mode of each secret's file, and list the secrets that are in no file."""
    variables = context.variables
    paths = {name: Path(variables[f"{name}_FILE"]) for name in SECRETS if variables.get(f"{name}_FILE")}
    problems = [problem for name, path in paths.items() if (problem := _check_mode(name, path))]
    yield from problems
    exposed = [
        name for name in SECRETS if (value := variables.get(name)) and (name in ALWAYS_SECRET or PASSWORD.search(value))
    ]
    if exposed:
        remedy = f"Put each into a file and pass its path: {exposed[0]}_FILE=/run/secrets/{exposed[0].lower()}"
        yield warned(f"{', '.join(exposed)}: visible to every child process and in `docker inspect`.", remedy)
    if not exposed and not problems:
        yield passed(f"{', '.join(paths)}: in files that only this user may read.")


def _check_mode(name: str, path: Path) -> Finding | None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        who = "everyone may read" if mode & stat.S_IROTH else "other users may write"
        return failed(f"{who} {path}, the file of {name} (mode {mode:03o}).", REMEDY)
    if mode & stat.S_IRGRP:
        return warned(f"a group may read {path}, the file of {name} (mode {mode:03o}).", REMEDY)
    return None
