"""What may stop a command of ops, each with what was seen and what to do."""

from __future__ import annotations


class OpsError(Exception):
    """What was begun did not succeed: the text says what was seen."""


class PreconditionError(OpsError):
    """It is not begun at all: the text says what stands in the way, and the remedy."""


class Interrupted(BaseException):
    """The process was told to stop (SIGTERM, SIGHUP); what was begun is put back first."""
