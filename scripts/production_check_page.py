"""Write docs/production-check.md from the checks; --check compares instead."""

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from generated import write_or_check  # noqa: E402

from app.checks import registry as application  # noqa: E402 - found by the line above
from ops.server.checks import registry as server  # noqa: E402

PAGE = ROOT / "docs/production-check.md"
INTRODUCTION = """\
# The production check

`scripts/production_check_page.py` generates this page from the tables in `app/checks/registry.py` and
`ops/server/checks/registry.py`.

    python3 -m ops check                # on a server: both tables below; --json for scripts, --strict
    flask check-production              # only the application's checks, with the same options
    python scripts/check_production.py  # the same, even if invalid settings keep the application from starting

Each check prints PASS, WARN or FAIL, the reason, and a remedy. The exit code is 1 after a FAIL, with `--strict` also
after a WARN, and otherwise 0. `--json` prints a list of objects with `check`, `state`, `reason` and `remedy`. Secrets
are never printed. Each check has a timeout of ten seconds. A check whose backend is unavailable fails in one line with
a diagnosis. If a check cannot read a value that it needs, it warns and explains how to
check by hand.

A FAIL must not occur in production. A WARN does not break the service, but an operator should know about it. On a new
server nothing fails; warnings report the placeholder certificate, the short HSTS and backups on a single machine.

## During a deploy

The deploy's step "preflight" runs both sets in the new image, with the new settings, before it changes anything. A FAIL
of the application stops the deploy. A FAIL of the server stops it only if the failure would break the deploy or get
worse by it, as a full disk would. Any other FAIL of the server becomes a warning, because late backups or an expiring
certificate must not block a fix; `python3 -m ops check` still fails for them. Migrations may be pending, because the
deploy applies them next (`--before-migrating`). A rollback runs no checks.

## Checks of the application

These run in the application's image (`app/checks/`), read the settings as the application does, and query Postgres and
Redis. Invalid settings are all reported as `settings`, and no other check runs.
"""
AFTER_APPLICATION = """
The estimate of bits detects common, repetitive and word-like secrets. It cannot prove that a secret is strong.

The edge's settings are known from the variables that the compose file passes: HSTS, BODY_KILOBYTES and CDN_NETWORKS.
With another edge, these checks warn and explain how to check by hand.

## Checks of the server

These run on the server (`ops/server/checks/`) and check what no container can read.
"""
CONCLUSION = """
## Add a check

Write a function that takes a `CheckContext` and yields `passed(reason)`, `warned(reason, remedy)` or
`failed(reason, remedy)`, in a module of `app/checks/`. Add it to `app/checks/registry.py`, and run
`scripts/production_check_page.py`. For the server itself, do the same in `ops/server/checks/`.
"""
DEPLOY = {"stops": "a FAIL stops the deploy", "warns": "a FAIL becomes a WARN", "": "not checked"}


def page() -> str:
    """Return the whole page."""
    of_application = [(check.name, check.passes, check.warns, check.fails) for check in application.CHECKS]
    of_server = [(check.name, check.passes, check.warns, check.fails, DEPLOY[check.deploy]) for check in server.CHECKS]
    return "\n".join(
        [
            INTRODUCTION,
            *table(("check", "PASS", "WARN", "FAIL"), of_application),
            AFTER_APPLICATION,
            *table(("check", "PASS", "WARN", "FAIL", "during a deploy"), of_server),
            CONCLUSION,
        ]
    )


def table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table whose first column is code."""
    columns = list(head)
    body = [(f"`{name}`", *cells) for name, *cells in rows]
    return [_row(columns), _row(["---"] * len(columns)), *map(_row, body)]


def _row(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), __doc__))
