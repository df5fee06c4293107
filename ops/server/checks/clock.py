"""The server keeps the time: certificates, tokens and backups go by it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from ops.server import Server
from ops.server.checks.finding import Finding, passed, warned

UNSYNCHRONISED = 5  # TIME_ERROR: https://man7.org/linux/man-pages/man2/adjtimex.2.html
TIMEX_BYTES = 512  # struct timex has 208 on 64 bits; what is zero asks for no change
REMEDY = "timedatectl set-ntp true; then: timedatectl show -p NTPSynchronized"


def check(_server: Server) -> Iterator[Finding]:
    """Ask the kernel whether something keeps its clock right."""
    state = kernel()
    if state is None:
        yield warned("nobody can say here whether something keeps the clock right.", REMEDY)
    elif state == UNSYNCHRONISED:
        yield warned("nothing keeps the clock right (NTP).", REMEDY)
    else:
        yield passed("it is kept right (NTP).")


def kernel() -> int | None:
    """Return what adjtimex says of the clock; None where it may not be asked."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (AttributeError, OSError):
        return None
    return state if state >= 0 else None
