"""What a check says, of the server or of the application: the same form for both.

app/checks/finding.py says it in the image, which comes as JSON: neither place has the other's code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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
        return " ".join(f"{self.state} {self.check}: {self.reason} {self.remedy}".split())


def passed(reason: str) -> Finding:
    """Return that all is well."""
    return Finding("", PASS, reason)


def warned(reason: str, remedy: str) -> Finding:
    """Return what somebody should look at, though it works."""
    return Finding("", WARN, reason, remedy)


def failed(reason: str, remedy: str) -> Finding:
    """Return what must not be so in production."""
    return Finding("", FAIL, reason, remedy)


def read(found: dict[str, Any]) -> Finding:
    """Read a finding of the application's; raises KeyError."""
    return Finding(*(str(found[name]) for name in ("check", "state", "reason", "remedy")))


def objects(findings: list[Finding]) -> list[dict[str, str]]:
    """Return them for machines."""
    return [asdict(each) for each in findings]


def having(findings: list[Finding], state: str) -> list[Finding]:
    """Return those in a state."""
    return [each for each in findings if each.state == state]
