"""The tables; importing this package registers all of them for Alembic."""

from app.models.api_token import ApiToken
from app.models.applied_migration import AppliedMigration
from app.models.idempotency_key import IdempotencyKey
from app.models.product import Product

__all__ = ["ApiToken", "AppliedMigration", "IdempotencyKey", "Product"]
