"""Check that this server is fit for production: `flask check-production`, also where the application does not start.

    docker compose run --rm --no-deps migrate python scripts/check_production.py

With settings that cannot be used `flask` has no application, and says so; this says it in the form of the other checks.
docs/production-check.md has them all.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the application, wherever this is called from

from flask.cli import load_dotenv  # noqa: E402

from app.cli.check_production import check_production  # noqa: E402

if __name__ == "__main__":
    load_dotenv()
    check_production(prog_name="check_production.py")
