"""Check that this server is fit for production: a line for each check, with what was seen, and the remedy.

    docker compose run --rm --no-deps migrate python scripts/check_production.py

It runs in the application's image with the application's settings, and asks the servers themselves; a deploy runs it in
the new image before anything changes. Exits with 1 if a check fails; --json is for machines.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the application, wherever this is called from

import psycopg2  # noqa: E402
from production_check import connections, rights  # noqa: E402
from production_check.finding import FAIL, Finding  # noqa: E402
from production_check.production import Production  # noqa: E402

from config import ConfigError  # noqa: E402

Check = Callable[[Production], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "connections": connections.check,
    "pooler": connections.check_pooler,
    "rights": rights.check,
}


def main() -> int:
    """Print what was found; return 1 if anything fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="for machines: a list of objects")
    as_json = parser.parse_args().json
    found = findings(Production())
    print(json.dumps([asdict(each) for each in found]) if as_json else "\n".join(map(str, found)))
    return 1 if any(each.state == FAIL for each in found) else 0


def findings(production: Production) -> list[Finding]:
    """Make every check; without settings that can be used there is none to make."""
    try:
        _ = production.settings, production.web
    except (ConfigError, SystemExit) as error:
        return [Finding("settings", FAIL, str(error))]
    return [finding for name, check in CHECKS.items() for finding in tried(name, check, production)]


def tried(name: str, check: Check, production: Production) -> list[Finding]:
    """Make a check; one that cannot be made fails."""
    try:
        return list(check(production))
    except psycopg2.Error as error:
        reason = f"could not be looked at: {(str(error).strip() or type(error).__name__).splitlines()[0]}."
        return [Finding(name, FAIL, reason, f"Does {' and does '.join(production.hosts)} answer? docker compose ps")]


if __name__ == "__main__":
    sys.exit(main())
