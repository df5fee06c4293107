"""The response cache: `@cached` on a view, and invalidation by tag after each commit."""

from flask import Flask

from app.cache import invalidation
from app.cache.decorator import cached
from app.cache.policy import namespace
from app.cache.response_cache import ResponseCache, current_cache
from app.cache.stores.base import Store
from app.cache.stores.local import LocalStore
from app.cache.stores.memory import MemoryStore
from app.cache.stores.redis import RedisStore
from app.observability import probes, tracing

__all__ = ["cached", "current_cache", "init_app"]


def init_app(app: Flask) -> None:
    """Use Redis if REDIS_URL is set, else process memory; neither is required for readiness."""
    url = app.config["REDIS_URL"]
    store = _redis_store(app, url) if url else MemoryStore(app.config["CACHE_MAX_BYTES"])
    app.extensions["cache"] = ResponseCache(store, namespace())
    invalidation.init_app(app)


def _redis_store(app: Flask, url: str) -> Store:
    store = RedisStore(url, app.config["REDIS_TIMEOUT"])
    tracing.instrument_redis(app, store.client)
    probes.register(app, "redis", store.ping, required=False)
    return LocalStore(store)
