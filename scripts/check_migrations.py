"""Refuse migrations that would break or block the serving release while they run.

Two releases use the schema during a deploy, so a migration may only expand it, unless its module sets
`contract = True`. Each expand step is applied to a temporary Postgres by the role that owns the schema in production.
The schema is compared before and after, as are the session's locks and scans for each statement; Squawk checks the SQL.
"""

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # makes `app` importable from any working directory

from app import create_app  # noqa: E402
from deploy.migration_check.check import Report, check  # noqa: E402
from deploy.migration_check.postgres import temporary_postgres  # noqa: E402
from deploy.migration_check.roles import create_roles  # noqa: E402


def main() -> int:
    """Print the problems; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "migrations")
    folder = parser.parse_args().folder.resolve()
    logging.disable(logging.WARNING)
    with temporary_postgres() as url:
        report = check_folder(folder, create_roles(url, ROOT / "deploy/postgres/roles.sh"))
    for line in report.skipped:
        print(line)
    for problem in report.problems:
        print(problem, file=sys.stderr)
    return 1 if report.problems else 0


def check_folder(folder: Path, url: str) -> Report:
    """Check the migrations in FOLDER, in the context of an application that uses the database at URL."""
    app = create_app("testing", {"TEST_DATABASE_URL": url, "LOG_LEVEL": "ERROR"})
    with app.app_context():
        config = app.extensions["migrate"].migrate.get_config(str(folder))
        return check(config, url, ignored_tables={"applied_migrations"})


if __name__ == "__main__":
    sys.exit(main())
