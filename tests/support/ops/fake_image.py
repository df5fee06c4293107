"""A fake image and the behaviour of its application."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """A fake image and the behaviour of its application."""

    commit: str
    exits: bool = False
    reports: str = ""
    ready: int = 200
    api: int = 200
    pending: str = "[]"
    findings: str = "[]"  # output of scripts/check_production.py
    also_in: tuple = ()  # other registries with the same image
    registry: str = "registry.example"

    @property
    def name(self):
        """The name with its digest."""
        return self.names[-1]

    @property
    def names(self):
        """All names with their digests, in Docker's order."""
        digest = f"sha256:{self.commit.encode().hex():0<64}"
        return [f"{registry}/shop@{digest}" for registry in (*self.also_in, self.registry)]

    def respond(self, path):
        """Return the status and body of a response."""
        if path == "/health/version":
            return 200, json.dumps({"release": self.reports or self.commit})
        return (self.ready if path == "/health/ready" else self.api), "{}"
