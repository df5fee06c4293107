"""/api/products: the catalogue. Reading is open; writing needs a token with the scope `products`."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, request, url_for

from app.auth import requires
from app.cache.decorator import cached
from app.http.conditional import json_answer, no_content, not_modified, require_match
from app.http.documentation import takes
from app.http.errors import Problem, problem
from app.http.idempotency import idempotent
from app.http.openapi import ResourceBlueprint
from app.http.pagination import MAX_ID, CursorError
from app.http.parsing import MERGE_PATCH
from app.schemas.product import Product, ProductChange, ProductInput, ProductPage, ProductQuery, render
from app.services import products

blp = ResourceBlueprint("products", __name__, url_prefix="/api/products", description="The catalogue.")

ONE = f"/<int(max={MAX_ID}):product_id>"
# A shared cache may answer for one second, goes on for a few more while it asks again, and for an hour while the
# application is away; a browser always asks.
SHARED = "public, max-age=0, s-maxage=1, stale-while-revalidate=5, stale-if-error=3600"
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "Send it back in If-None-Match or If-Match."}}
IF_NONE_MATCH = {"in": "header", "name": "If-None-Match", "schema": {"type": "string"}}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "example": "*",
    "description": "The ETag that you last read, so that nobody's change is lost; or * for whatever is there.",
}
BODY_FAULTS = {400: "BAD_REQUEST", 413: "REQUEST_ENTITY_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}
STALE = {404: "NOT_FOUND", 412: "PRECONDITION_FAILED", 428: "PRECONDITION_REQUIRED"}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": "A name for this request. Sent again within a day, it is answered the same and done once.",
}


@blp.route("")
@takes(IF_NONE_MATCH)
@cached(ttl=30, tags=("products",), query=ProductQuery, public=True)
@blp.arguments(ProductQuery, location="query")
@blp.response(200, ProductPage, headers=ETAG)
@blp.alt_response(304, "NOT_MODIFIED", success=True)
def index(query: dict[str, Any]) -> Response:
    """List products, a page at a time; `Link: rel="next"` leads on."""
    try:
        page = products.page(**query)
    except CursorError as error:
        raise Problem(422, "The query is not valid.", [_fault("query", "cursor", str(error))]) from error
    headers = {"Cache-Control": SHARED}
    if page.next_cursor:
        headers["Link"] = f'<{_next_url(page.next_cursor)}>; rel="next"'
    return json_answer({"items": [render(row) for row in page.rows], "next_cursor": page.next_cursor}, headers=headers)


@blp.route("", methods=["POST"])
@requires("products")
@takes(IDEMPOTENCY_KEY, answers=BODY_FAULTS | {409: "CONFLICT"})
@blp.arguments(ProductInput)
@blp.response(201, Product, headers=ETAG | {"Location": {"schema": {"type": "string"}}})
@idempotent
def create(data: dict[str, Any]) -> Response:
    """Add a product."""
    product = products.create(data)
    return json_answer(render(product), 201, {"Location": url_for("products.show", product_id=product.id)})


@blp.route(ONE)
@takes(IF_NONE_MATCH, answers={404: "NOT_FOUND"})
@blp.response(200, Product, headers=ETAG)
@blp.alt_response(304, "NOT_MODIFIED", success=True)
def show(product_id: int) -> Response:
    """Read one product. Not cached: a row by its key costs what a look into the cache costs."""
    return not_modified(json_answer(render(products.get(product_id)), headers={"Cache-Control": "no-cache"}))


@blp.route(ONE, methods=["PUT"])
@requires("products")
@takes(IF_MATCH, answers=STALE | BODY_FAULTS | {409: "CONFLICT"})
@blp.arguments(ProductInput)
@blp.response(200, Product, headers=ETAG)
def replace(data: dict[str, Any], product_id: int) -> Response:
    """Replace a product that has not changed since it was read."""
    return _changed(data, product_id)


@blp.route(ONE, methods=["PATCH"])
@requires("products")
@takes(IF_MATCH, answers=STALE | BODY_FAULTS | {409: "CONFLICT"})
@blp.arguments(ProductChange, content_type=MERGE_PATCH)
@blp.response(200, Product, headers=ETAG)
def change(data: dict[str, Any], product_id: int) -> Response:
    """Change some fields of a product that has not changed since it was read (RFC 7396)."""
    return _changed(data, product_id)


@blp.route(ONE, methods=["DELETE"])
@requires("products")
@takes(IF_MATCH, answers=STALE)
@blp.response(204)
def delete(product_id: int) -> Response:
    """Delete a product that has not changed since it was read."""
    with products.changing(product_id) as product:
        require_match(render(product))
        products.delete(product)
    return no_content()


def _changed(data: dict[str, Any], product_id: int) -> Response:
    with products.changing(product_id) as product:
        require_match(render(product))
        products.change(product, data)
    return json_answer(render(product))


def _next_url(cursor: str) -> str:
    """Return the next page's address without scheme and host: whoever asks, by whatever name, gets the same bytes."""
    return f"{request.path}?{urlencode({**request.args, 'cursor': cursor})}"


def _fault(place: str, field: str, detail: str) -> dict[str, str]:
    return {"in": place, "field": field, "detail": detail}


@blp.errorhandler(products.ProductMissingError)
def _missing(_error: Exception) -> Response:
    return problem(404, "There is no such product.")


@blp.errorhandler(products.SkuTakenError)
def _taken(_error: Exception) -> Response:
    return problem(409, "Another product has this SKU.", [_fault("body", "sku", "Is taken.")])
