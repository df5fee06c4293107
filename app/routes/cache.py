"""/cache: the size of the cache, and purging it. Needs a token with the scope `cache`."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from app.auth import require_scope
from app.cache import current_cache
from app.cache.stores.base import StoreUnavailableError
from app.cache.tags import ALL, declared
from app.http.conditional import no_content
from app.http.errors import RETRY_AFTER, Problem, problem_response
from app.http.openapi import ResourceBlueprint, document

blp = ResourceBlueprint("cache", __name__, url_prefix="/cache", description="Inspect and purge the response cache.")


class Statistics(Schema):
    """The store. The metric `cache_requests_total` counts hits, misses and the other outcomes."""

    backend = fields.String(required=True, metadata={"description": "`redis`, or `process` for process memory."})
    keys = fields.Integer(required=True)
    bytes = fields.Integer(required=True)


@blp.route("")
@require_scope("cache")
@blp.response(200, Statistics)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def statistics() -> dict[str, Any]:
    """Return the size of the cache."""
    return current_cache().store.statistics()


@blp.route("", methods=["DELETE"])
@require_scope("cache")
@blp.response(204)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def purge() -> Response:
    """Invalidate every cached response."""
    return _purge(ALL)


@blp.route("/tags/<tag>", methods=["DELETE"])
@require_scope("cache")
@document(responses=[404])
@blp.response(204)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def purge_tag(tag: str) -> Response:
    """Invalidate the cached responses with a tag; the product list has the tag `products`."""
    if tag not in declared:
        raise Problem(404, f"Unknown tag. Declared tags: {', '.join(sorted(declared))}.")
    return _purge(tag)


def _purge(tag: str) -> Response:
    if not current_cache().invalidate([tag]):
        raise StoreUnavailableError
    return no_content()


@blp.errorhandler(StoreUnavailableError)
def _unavailable(_error: Exception) -> Response:
    return problem_response(503, "The cache is unavailable.", headers={"Retry-After": str(RETRY_AFTER)})
