"""The result of a check."""

from dataclasses import dataclass

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """The result of a check and the remedy; `run_with_timeout` adds the name of the check."""

    check: str
    state: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the line for the terminal."""
        return f"{self.state} {self.check}: {self.reason} {self.remedy}".strip()


def passed(reason: str) -> Finding:
    """Return a PASS."""
    return Finding("", PASS, reason)


def warned(reason: str, remedy: str) -> Finding:
    """Return a WARN: it works, but an operator should know."""
    return Finding("", WARN, reason, remedy)


def failed(reason: str, remedy: str) -> Finding:
    """Return a FAIL: it must not occur in production."""
    return Finding("", FAIL, reason, remedy)
