"""The store interface."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class StoreUnavailableError(Exception):
    """The store does not respond, or its circuit breaker is open. Requests continue without a cache."""


class Store(Protocol):
    """Bytes by key, each with a time to live in seconds.

    Every method may raise StoreUnavailableError, and returns within the store's timeout.
    """

    def get_many(self, keys: Sequence[str], *, consistent: bool = False) -> list[bytes | None]:
        """Return the values of KEYS, None for a missing one. CONSISTENT ignores copies of the shared store."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Set KEY unless it exists; return whether it was set."""

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Set KEY."""

    def delete(self, key: str) -> None:
        """Delete KEY if it exists."""

    def invalidate(self, versions: Mapping[str, bytes], ttl: float) -> None:
        """Set new tag versions, and notify every process that holds copies of the old ones."""

    def statistics(self) -> dict[str, Any]:
        """Return the kind of store (`backend`), its number of `keys` and its `bytes`."""
