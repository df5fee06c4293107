"""/cache: what the cache did, and emptying it. Needs a token with the scope `cache`."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from app.auth import require_scope
from app.cache import decorator as cache
from app.cache.stores.redis import UnavailableError
from app.cache.tags import EVERYTHING, known
from app.http.conditional import no_content
from app.http.errors import RETRY_AFTER, Problem, problem_response
from app.http.openapi import ResourceBlueprint, document

blp = ResourceBlueprint("cache", __name__, url_prefix="/cache", description="Watch and empty the cache.")


class Statistics(Schema):
    """What all processes together counted since the store was last empty, to about a second ago."""

    backend = fields.String(required=True, metadata={"description": "redis, or process for the embedded one."})
    totals = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    keys = fields.Integer(required=True)
    bytes = fields.Integer(required=True)


@blp.route("")
@require_scope("cache")
@blp.response(200, Statistics)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def statistics() -> dict[str, Any]:
    """Count the hits, misses, stale answers, refreshes and bypasses."""
    return cache.current().statistics()


@blp.route("", methods=["DELETE"])
@require_scope("cache")
@blp.response(204)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def purge() -> Response:
    """Make every cached answer invalid."""
    return _purged(EVERYTHING)


@blp.route("/tags/<tag>", methods=["DELETE"])
@require_scope("cache")
@document(responses=[404])
@blp.response(204)
@blp.alt_response(503, "SERVICE_UNAVAILABLE")
def purge_tag(tag: str) -> Response:
    """Make the cached answers with one tag invalid; the list of products has the tag `products`."""
    if tag not in known:
        raise Problem(404, f"No cached answer has this tag. There are: {', '.join(sorted(known))}.")
    return _purged(tag)


def _purged(tag: str) -> Response:
    if not cache.current().forget([tag]):
        raise UnavailableError
    return no_content()


@blp.errorhandler(UnavailableError)
def _away(_error: Exception) -> Response:
    return problem_response(503, "The cache is away.", headers={"Retry-After": str(RETRY_AFTER)})
