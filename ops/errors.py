"""The errors that end a command."""

from __future__ import annotations


class OpsError(Exception):
    """The command failed; the message has the cause."""


class PreconditionError(OpsError):
    """The command did not begin; the message has the cause and the remedy."""


class Interrupted(BaseException):
    """SIGTERM or SIGHUP arrived; the operation is undone before the process exits."""
