"""The application's clock is the database's: tokens end when they should, and times are in one order."""

import time
from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production

NOW = "SELECT extract(epoch FROM clock_timestamp())::float"
GOOD, BAD = 2.0, 60.0  # seconds
REMEDY = "Let both machines keep time by NTP: timedatectl set-ntp true"


def check(production: Production) -> Iterator[Finding]:
    """Ask the database for the time; what the answer took on its way counts for neither."""
    asked = time.time()
    [(there,)] = production.ask(production.settings.MIGRATION_DATABASE_URL, NOW)
    answered = time.time()
    apart = max(asked - there, there - answered, 0.0)
    reason = f"this clock and the database's are {apart:.1f} s apart."
    if apart >= BAD:
        yield failed(reason, REMEDY)
    elif apart >= GOOD:
        yield warned(reason, REMEDY)
    else:
        yield passed("this clock and the database's agree.")
