"""What is under way, written down before it is done, so that the next command knows where a killed one stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops import files

FINISHED = ("record", "drain", "stop")  # at these steps the new colour serves, and was seen to


@dataclass
class Journal:
    """One command: which release it brings, on which colour, which one served before, and how far it has come."""

    id: str
    command: str
    image: str
    release: str
    colour: str
    before: str
    step: str = "begin"

    @property
    def outcome(self) -> str:
        """The colour that is to serve if nothing more is done."""
        return self.colour if self.step in FINISHED else self.before


def write(path: Path, journal: Journal) -> None:
    """Write down what is under way."""
    files.write(path, json.dumps(asdict(journal)))


def read(path: Path) -> Journal | None:
    """Return what was under way, None when nothing was; what a newer ops wrote besides is passed over."""
    if not path.exists():
        return None
    written = json.loads(path.read_text(encoding="utf-8"))
    return Journal(**{field.name: written[field.name] for field in fields(Journal)})
