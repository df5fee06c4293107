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
    findings: str = "[]"  # of its scripts/check_production.py
    also_in: tuple = ()  # other registries from which the same image was fetched before
    registry: str = "registry.example"

    @property
    def name(self):
        """Its name by digest."""
        return self.names[-1]

    @property
    def names(self):
        """All its names by digest, in the order in which Docker tells them."""
        digest = f"sha256:{self.commit.encode().hex():0<64}"
        return [f"{registry}/shop@{digest}" for registry in (*self.also_in, self.registry)]

    def answer(self, path):
        """Return the status and the body of an answer."""
        if path == "/health/version":
            return 200, json.dumps({"release": self.says or self.commit})
        return (self.ready if path == "/health/ready" else self.api), "{}"
