"""An image, and how the application in it behaves."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """An image, and how the application in it behaves."""

    commit: str
    ends: bool = False
    says: str = ""
    ready: int = 200
    api: int = 200
    pending: str = "[]"

    @property
    def name(self):
        """Its name by digest."""
        return f"registry.example/shop@sha256:{self.commit.encode().hex():0<64}"

    def answer(self, path):
        """Return the status and the body of an answer."""
        if path == "/health/version":
            return 200, json.dumps({"release": self.says or self.commit})
        return (self.ready if path == "/health/ready" else self.api), "{}"
