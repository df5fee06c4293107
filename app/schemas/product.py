"""The representations of a product."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates, validates_schema

from app.models.product import MAX_PRICE
from app.schemas.currencies import CURRENCIES
from app.schemas.fields import QueryInteger, StrictInteger, line, matching, text

SKU = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
PRICE = validate.Range(0, MAX_PRICE)
SORTS = ["name", "-name", "price", "-price", "created_at", "-created_at"]


class ProductInput(Schema):
    """A product as clients send it."""

    sku = matching(
        SKU,
        "Must be 1 to 64 letters, digits, dots, hyphens or underscores.",
        required=True,
        metadata={"example": "MUG-BLUE-01", "description": "The unique article number."},
    )
    name = line(1, 200, required=True, metadata={"example": "Blue mug"})
    description = text(5000, load_default="", metadata={"example": "Holds 30 cl."})
    price = StrictInteger(
        required=True,
        validate=PRICE,
        metadata={"example": 1250, "description": "In minor units of the currency (cents)."},
    )
    currency = fields.String(
        required=True,
        validate=validate.OneOf(sorted(CURRENCIES), error="Is not an ISO 4217 code."),
        metadata={"example": "EUR", "description": "An ISO 4217 code."},
    )


class ProductChange(ProductInput):
    """A JSON merge patch (RFC 7396): changes only the given fields; null removes the description."""

    description = text(5000, allow_none=True, metadata={"example": "Holds 30 cl."})

    def __init__(self, **options: Any) -> None:
        """Make every field optional."""
        super().__init__(**{"partial": True, **options})

    @pre_load
    def null_means_default(self, data: Any, **_: Any) -> Any:
        """Turn a null description into an empty one; no other field can be removed."""
        if isinstance(data, dict) and data.get("description", "") is None:
            return {**data, "description": ""}
        return data


class Product(ProductInput):
    """A product as the API returns it."""

    id = fields.Integer(required=True, metadata={"example": 1})
    description = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "Increases by one with each change."})
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ProductPage(Schema):
    """A page of products."""

    items = fields.List(fields.Nested(Product), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class ProductQuery(Schema):
    """Filters, order and page of the list."""

    limit = QueryInteger(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(validate=validate.Length(1, 1000), metadata={"description": "`next_cursor` of a page."})
    sort = fields.String(load_default="-created_at", validate=validate.OneOf(SORTS))
    q = line(1, 100, metadata={"description": "Prefixes of words in the name or description."})
    price_min = QueryInteger(validate=PRICE)
    price_max = QueryInteger(validate=PRICE)
    currency = matching(r"^[A-Z]{3}$", "Must be three capital letters.")

    @validates("q")
    def validate_q(self, value: str, **_: Any) -> None:
        """Reject a text without a letter or digit."""
        if not any(character.isalnum() for character in value):
            raise ValidationError("Must contain a letter or a digit.")

    @validates_schema
    def validate_price_range(self, data: dict[str, Any], **_: Any) -> None:
        """Reject an empty price range."""
        if data.get("price_min", 0) > data.get("price_max", MAX_PRICE):
            raise ValidationError("Must not be above price_max.", "price_min")


def render(row: Any) -> dict[str, Any]:
    """Return the same representation as Product().dump(row), in a tenth of the time."""
    return {
        "id": row.id,
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "price": row.price,
        "currency": row.currency,
        "version": row.version,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
