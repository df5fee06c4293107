"""What a check says."""

from dataclasses import dataclass

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check has seen, and what to do about it; the table of checks gives it its name."""

    check: str
    state: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the line for people."""
        return f"{self.state} {self.check}: {self.reason} {self.remedy}".strip()


def passed(reason: str) -> Finding:
    """Return that all is well."""
    return Finding("", PASS, reason)


def warned(reason: str, remedy: str) -> Finding:
    """Return what somebody should look at, though it works."""
    return Finding("", WARN, reason, remedy)


def failed(reason: str, remedy: str) -> Finding:
    """Return what must not be so in production."""
    return Finding("", FAIL, reason, remedy)
