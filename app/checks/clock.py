"""Check that the application's and the database's clocks agree: tokens expire on time, timestamps are in order."""

import time
from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned

NOW = "SELECT extract(epoch FROM clock_timestamp())::float"
WARN_S, FAIL_S = 2.0, 60.0
REMEDY = "Synchronize both machines by NTP: timedatectl set-ntp true"


def check(context: CheckContext) -> Iterator[Finding]:
    """Compare the clocks; the round trip of the query does not count as a difference."""
    sent = time.time()
    [(database,)] = context.query(context.settings.MIGRATION_DATABASE_URL, NOW)
    received = time.time()
    difference = max(sent - database, database - received, 0.0)
    reason = f"this clock and the database's differ by {difference:.1f} s."
    if difference >= FAIL_S:
        yield failed(reason, REMEDY)
    elif difference >= WARN_S:
        yield warned(reason, REMEDY)
    else:
        yield passed("this clock and the database's agree.")
