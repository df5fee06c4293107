"""A site of one cached view over a store that the test holds, without the rest of the application."""

from flask import Flask

from app.cache.decorator import Cache, cached
from tests.support.cache_fakes import FlakyStore


class Site:
    """Answers /thing and /thing/<name> with what `view` returns, and counts how often it was asked."""

    def __init__(self, view=None, store=None, **policy):
        self.calls = 0
        self.view = view or (lambda: str(self.calls))
        self.store = store or FlakyStore()
        self.cache = Cache(self.store, "release1")
        self.app = Flask("site")
        self.app.extensions["cache"] = self.cache
        answer = cached(**{"ttl": 60, "tags": ("things",), **policy})(self._answer)
        for rule in ("/thing", "/thing/<name>"):
            self.app.add_url_rule(rule, "thing", answer)

    def _answer(self, **_arguments):
        self.calls += 1
        return self.view()

    def get(self, path="/thing", **options):
        """Ask for the thing."""
        return self.app.test_client(use_cookies=False).get(path, **options)

    def said(self, path="/thing", **options):
        """Ask, and return what the cache says it did, without the seconds."""
        return self.get(path, **options).headers["Cache-Status"].partition("ttl=")[0]

    def stored(self, ending=""):
        """Return the keys of the store but the tags'."""
        return [key for key in self.store.values if ":tag:" not in key and key.endswith(ending)]
