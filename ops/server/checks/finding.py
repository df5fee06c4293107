"""The result of a check. app/checks/finding.py has the same form in the image, exchanged as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check found and its remedy; the registry adds the check's name."""

    check: str
    state: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return one line for people."""
        return " ".join(f"{self.state} {self.check}: {self.reason} {self.remedy}".split())


def passed(reason: str) -> Finding:
    """Return a passed check."""
    return Finding("", PASS, reason)


def warned(reason: str, remedy: str) -> Finding:
    """Return a weakness that does not stop production."""
    return Finding("", WARN, reason, remedy)


def failed(reason: str, remedy: str) -> Finding:
    """Return a problem that production must not have."""
    return Finding("", FAIL, reason, remedy)


def from_json(found: dict[str, Any]) -> Finding:
    """Parse a finding of the application; raises KeyError."""
    return Finding(*(str(found[name]) for name in ("check", "state", "reason", "remedy")))


def to_json(findings: list[Finding]) -> list[dict[str, str]]:
    """Return findings as JSON objects."""
    return [asdict(each) for each in findings]


def in_state(findings: list[Finding], state: str) -> list[Finding]:
    """Return the findings in a state."""
    return [each for each in findings if each.state == state]
