"""/api/products: the catalogue. Reads are public; writes need a token with the scope `products`."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, request, url_for

from app.auth import require_scope
from app.cache import cached
from app.http import pagination
from app.http.conditional import evaluate_if_none_match, json_response, no_content, require_if_match
from app.http.errors import Problem, field_error, problem_response
from app.http.idempotency import idempotent
from app.http.openapi import ResourceBlueprint, document
from app.http.parsing import MERGE_PATCH
from app.schemas.product import Product, ProductChange, ProductInput, ProductPage, ProductQuery, render
from app.services import products

blp = ResourceBlueprint("products", __name__, url_prefix="/api/products", description="The catalogue.")

PRODUCT_PATH = f"/<int(max={pagination.MAX_ID}):product_id>"
# A shared cache may serve a list for one second, a few more while it revalidates, and an hour while the application is
# unavailable; a browser always revalidates.
LIST_CACHE_CONTROL = "public, max-age=0, s-maxage=1, stale-while-revalidate=5, stale-if-error=3600"
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "Send it in If-None-Match or If-Match."}}
IF_NONE_MATCH = {"in": "header", "name": "If-None-Match", "schema": {"type": "string"}}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string"},
    "example": "*",
    "description": "The ETag that you last read, which prevents lost updates; * matches any version.",
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": "Identifies this request. Repeated within a day, it has one effect and gets the same response.",
}
BODY_ERRORS = (400, 413, 415)
IF_MATCH_ERRORS = (404, 412, 428)


@blp.route("")
@blp.arguments(ProductQuery, location="query")
@cached(ttl=30, tags=("products",), public=True)
@document(headers=[IF_NONE_MATCH], responses=[304])
@blp.response(200, ProductPage, headers=ETAG)
def index(query: dict[str, Any]) -> Response:
    """List products, one page at a time; the `Link` header with `rel="next"` leads to the next page."""
    sort, after = query["sort"], _decode_cursor(query)
    page = products.list_page(after=after, **{name: value for name, value in query.items() if name != "cursor"})
    next_cursor = pagination.encode(sort, *page.position(sort)) if page.has_next else None
    headers = {"Cache-Control": LIST_CACHE_CONTROL}
    if next_cursor:
        headers["Link"] = f'<{_next_url(query, next_cursor)}>; rel="next"'
    return json_response({"items": [render(row) for row in page.rows], "next_cursor": next_cursor}, headers=headers)


@blp.route("", methods=["POST"])
@require_scope("products")
@blp.arguments(ProductInput)
@document(headers=[IDEMPOTENCY_KEY], responses=[*BODY_ERRORS, 409])
@blp.response(201, Product, headers=ETAG | {"Location": {"schema": {"type": "string"}}})
@idempotent
def create(data: dict[str, Any]) -> Response:
    """Create a product."""
    product = products.create(data)
    return json_response(render(product), 201, {"Location": url_for("products.show", product_id=product.id)})


@blp.route(PRODUCT_PATH)
@document(headers=[IF_NONE_MATCH], responses=[304, 404])
@blp.response(200, Product, headers=ETAG)
def show(product_id: int) -> Response:
    """Read a product. Not cached: a lookup by primary key costs as much as a cache lookup."""
    return evaluate_if_none_match(
        json_response(render(products.get(product_id)), headers={"Cache-Control": "no-cache"})
    )


@blp.route(PRODUCT_PATH, methods=["PUT"])
@require_scope("products")
@blp.arguments(ProductInput)
@document(headers=[IF_MATCH], responses=[*IF_MATCH_ERRORS, *BODY_ERRORS, 409])
@blp.response(200, Product, headers=ETAG)
def replace(data: dict[str, Any], product_id: int) -> Response:
    """Replace a product, if If-Match matches."""
    return _update(data, product_id)


@blp.route(PRODUCT_PATH, methods=["PATCH"])
@require_scope("products")
@blp.arguments(ProductChange, content_type=MERGE_PATCH)
@document(headers=[IF_MATCH], responses=[*IF_MATCH_ERRORS, *BODY_ERRORS, 409])
@blp.response(200, Product, headers=ETAG)
def patch(data: dict[str, Any], product_id: int) -> Response:
    """Change some fields of a product (RFC 7396), if If-Match matches."""
    return _update(data, product_id)


@blp.route(PRODUCT_PATH, methods=["DELETE"])
@require_scope("products")
@document(headers=[IF_MATCH], responses=IF_MATCH_ERRORS)
@blp.response(204)
def delete(product_id: int) -> Response:
    """Delete a product, if If-Match matches."""
    with products.locked(product_id) as product:
        require_if_match(render(product))
        products.delete(product)
    return no_content()


def _update(data: dict[str, Any], product_id: int) -> Response:
    with products.locked(product_id) as product:
        require_if_match(render(product))
        products.update(product, data)
    return json_response(render(product))


def _decode_cursor(query: dict[str, Any]) -> tuple[Any, int] | None:
    try:
        return pagination.decode(query["cursor"], query["sort"]) if "cursor" in query else None
    except pagination.CursorError as error:
        raise Problem(422, "The query is not valid.", [field_error("query", "cursor", str(error))]) from error


def _next_url(query: dict[str, Any], cursor: str) -> str:
    """Return the next page's URL, without host and from validated parameters: all clients share the cached bytes."""
    return f"{request.path}?{urlencode({**query, 'cursor': cursor})}"


@blp.errorhandler(products.ProductNotFoundError)
def _handle_not_found(_error: Exception) -> Response:
    return problem_response(404, "There is no such product.")


@blp.errorhandler(products.SkuTakenError)
def _handle_sku_taken(_error: Exception) -> Response:
    return problem_response(409, "Another product has this SKU.", [field_error("body", "sku", "Is already in use.")])
