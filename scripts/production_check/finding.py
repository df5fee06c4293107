"""What a check says."""

from dataclasses import dataclass

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check has seen, and what to do about it."""

    check: str
    state: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the line for people."""
        return f"{self.state} {self.check}: {self.reason} {self.remedy}".strip()
