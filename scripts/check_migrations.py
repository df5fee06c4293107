"""Refuse a migration that would break the release that serves while it is applied.

Two releases use the schema during a deploy, so a migration may only expand it, unless its module says
`contract = True`. Each that does not is applied to a Postgres of its own, which needs nothing but the wheels of
requirements-dev.txt, by the role that owns the schema in production. The schemas before and after are compared, and so
are the locks and the rows that were looked for before and after each statement; Squawk reads the SQL besides.
"""

import argparse
import importlib
import logging
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the application, wherever this is called from

from deploy.migration_check import steps  # noqa: E402


def main() -> int:
    """Print what is wrong, and return 1 if there is anything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "migrations")
    folder = parser.parse_args().folder.resolve()
    logging.disable(logging.WARNING)
    report = on_own_postgres(folder)
    for line in report.skipped:
        print(line)
    for problem in report.problems:
        print(problem, file=sys.stderr)
    return 1 if report.problems else 0


def on_own_postgres(folder: Path) -> steps.Report:
    """Check the migrations on a Postgres that is started for them and thrown away."""
    servers = importlib.import_module(
        "tests.support.integration.postgres_server"
    )  # the tests' own; they are not type-checked
    with tempfile.TemporaryDirectory(prefix="check-migrations-") as place:
        home = Path(place)
        home.chmod(0o711)  # as root, Postgres runs as another user, who must get to its folders
        for part in ("programs", "cluster"):
            (home / part).mkdir()
        server = servers.Postgres(home / "cluster", servers.postgres_programs(home / "programs"))
        try:
            return steps.check(folder, server.start().url())
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
