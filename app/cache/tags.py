"""Tags: a random word each, that a write replaces; an entry is good only while the words it was made under stand.

Words and not counters: a cache may evict a tag, and a counter that began anew at 1 would make old entries good again.
"""

import logging
import secrets
import threading
from collections.abc import Sequence

from app.cache.stores.redis import Store, UnavailableError

EVERYTHING = "*"  # the tag that every entry has
TAG_TTL = 86_400.0  # seconds; longer than any entry lives

known: set[str] = {EVERYTHING}  # each tag that a cached view has declared

log = logging.getLogger(__name__)


class Tags:
    """The words of all tags, over the store that all processes share."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.unsent: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def forget(self, tags: Sequence[str]) -> bool:
        """Make every entry with one of TAGS invalid, for all processes; return whether it is done.

        What cannot be sent now is sent before this process reads the store again; until then the other processes'
        entries end with their TTL.
        """
        with self.lock:
            self.unsent.update((tag, _word()) for tag in tags)
        try:
            self.send()
        except UnavailableError:
            log.warning("the cache is away; tags %s will be forgotten when it is back", sorted(tags))
            return False
        return True

    def send(self) -> None:
        """Send the words that could not be sent when they were made; raise UnavailableError if they still cannot."""
        if not self.unsent:
            return
        with self.lock:
            sent = dict(self.unsent)
        self.store.change({tag_key(tag): word for tag, word in sent.items()}, TAG_TTL)
        with self.lock:  # a tag forgotten again meanwhile has another word, and stays
            self.unsent = {tag: word for tag, word in self.unsent.items() if sent.get(tag) != word}

    def begin(self, keys: Sequence[str]) -> None:
        """Give a word to each tag that has none, be it new or evicted."""
        for key in keys:
            self.store.add(key, _word(), TAG_TTL)


def tag_key(tag: str) -> str:
    """Return where a tag's word is kept; all releases share it, so that each one's writes reach the others' entries."""
    return f"cache:tag:{tag}"


def _word() -> bytes:
    return secrets.token_hex(8).encode()
