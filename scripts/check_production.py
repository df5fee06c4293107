"""Run `flask check-production` even if the application does not start.

    docker compose run --rm --no-deps migrate python scripts/check_production.py

With invalid settings `flask` cannot load the application; this script then reports them like any other check.
docs/production-check.md describes all checks.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # makes `app` importable from any working directory

from flask.cli import load_dotenv  # noqa: E402

from app.cli.check_production import check_production  # noqa: E402

if __name__ == "__main__":
    load_dotenv()
    check_production(prog_name="check_production.py")
