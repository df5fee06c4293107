"""Tag versions: each tag has a random version; an entry is valid while its tags' versions are unchanged.

A write replaces the version of each of its tags, so invalidation neither searches nor deletes entries. Versions are
random because a store may evict them: a counter that restarts at 1 would make old entries valid again.
"""

import logging
import secrets
import threading
from collections.abc import Sequence

from app.cache.stores.base import Store, StoreUnavailableError

ALL = "*"  # the tag of every entry
VERSION_TTL = 86_400.0  # seconds; longer than the lifetime of any entry

declared: set[str] = {ALL}  # the tags of all cached views

log = logging.getLogger(__name__)


class TagVersions:
    """The current version of each tag, in the store that all processes share."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pending: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def invalidate(self, tags: Sequence[str]) -> bool:
        """Invalidate every entry with one of TAGS in all processes; return whether the store has accepted it.

        If the store is unavailable, this process sends the new versions before it next reads the store. Until then
        the other processes serve their entries, at most for their TTL.
        """
        with self.lock:
            self.pending.update((tag, _new_version()) for tag in tags)
        try:
            self.send_pending()
        except StoreUnavailableError:
            log.warning("the cache is unavailable; tags %s will be invalidated when it is back", sorted(tags))
            return False
        return True

    def send_pending(self) -> None:
        """Send the versions that the store has not accepted yet."""
        if not self.pending:
            return
        with self.lock:
            sent = dict(self.pending)
        self.store.invalidate({tag_key(tag): version for tag, version in sent.items()}, VERSION_TTL)
        with self.lock:  # a tag invalidated again meanwhile has another version and stays pending
            self.pending = {tag: version for tag, version in self.pending.items() if sent.get(tag) != version}

    def create_missing(self, keys: Sequence[str]) -> None:
        """Create a version for each new or evicted tag."""
        for key in keys:
            self.store.add(key, _new_version(), VERSION_TTL)


def tag_key(tag: str) -> str:
    """Return the store's key of a tag version; releases share it, so that each one's writes invalidate all entries."""
    return f"cache:tag:{tag}"


def _new_version() -> bytes:
    return secrets.token_hex(8).encode()
