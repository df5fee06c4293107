"""Check that the system clock is synchronised: certificates, tokens and backups depend on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from ops.server import Server
from ops.server.checks.finding import Finding, passed, warned

UNSYNCHRONISED = 5  # TIME_ERROR: https://man7.org/linux/man-pages/man2/adjtimex.2.html
TIMEX_BYTES = 512  # struct timex has 208 on 64 bits; zeros request no change
REMEDY = "timedatectl set-ntp true; then: timedatectl show -p NTPSynchronized"


def check(_server: Server) -> Iterator[Finding]:
    """Check the kernel's synchronisation state."""
    state = kernel_state()
    if state is None:
        yield warned("the state of the clock is unknown here.", REMEDY)
    elif state == UNSYNCHRONISED:
        yield warned("the clock is not synchronised (NTP).", REMEDY)
    else:
        yield passed("the clock is synchronised (NTP).")


def kernel_state() -> int | None:
    """Return the result of adjtimex; None where the call is unavailable or forbidden."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (AttributeError, OSError):
        return None
    return state if state >= 0 else None
