"""A minimal Flask application with one cached view over a store that the test controls."""

from flask import Flask, request
from marshmallow import Schema

from app.cache import cached
from app.cache.response_cache import ResponseCache
from tests.support.cache_fakes import FlakyStore


class CachedApp:
    """Serves /thing and /thing/<name> with what `view` returns, and counts the calls of the view.

    QUERY is the schema of the view's query, loaded outside the cache as flask-smorest does.
    """

    def __init__(self, view=None, store=None, query: type[Schema] | None = None, **policy):
        self.calls = 0
        self.view = view or (lambda: str(self.calls))
        self.store = store or FlakyStore()
        self.cache = ResponseCache(self.store, "release1")
        self.app = Flask("cached")
        self.app.extensions["cache"] = self.cache
        self.query = query
        self.cached = cached(**{"ttl": 60, "tags": ("things",), **policy})(self._call)
        for rule in ("/thing", "/thing/<name>"):
            self.app.add_url_rule(rule, "thing", self._validate)

    def _validate(self, **path):
        validated = (self.query().load(request.args.to_dict()),) if self.query else ()
        return self.cached(*validated, **path)

    def _call(self, *_validated, **_path):
        self.calls += 1
        return self.view()

    def get(self, path="/thing", **options):
        """Send a GET request."""
        return self.app.test_client(use_cookies=False).get(path, **options)

    def cache_status(self, path="/thing", **options):
        """Send a GET request, and return its Cache-Status without the seconds."""
        return self.get(path, **options).headers["Cache-Status"].partition("ttl=")[0]

    def stored_keys(self, suffix=""):
        """Return the keys in the store except those of tag versions."""
        return [key for key in self.store.values if ":tag:" not in key and key.endswith(suffix)]
