"""Products."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import Id, UtcDateTime, sorted_text, utc_now
from app.extensions import Model

MAX_PRICE = 10**12

# The text search document. Postgres' parser would read `iPhone-15` and `foo.txt` as one word each, `3.5` as a number
# and `<b>` as nothing, so the characters that join words become spaces first. Written as Postgres prints it, so that
# `flask db check` can compare. SQLite has no such index and scans the table.
JOINING_CHARACTERS = "-./@_+~#&=?<>"
SEARCH_VECTOR = (
    "to_tsvector('simple'::regconfig, translate((name::text || ' '::text) || description, "
    f"'{JOINING_CHARACTERS}'::text, '{' ' * len(JOINING_CHARACTERS)}'::text))"
)


class Product(Model):
    """An article; its price is in minor units (cents) of its ISO 4217 currency."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sku: Mapped[str] = mapped_column(sorted_text(64), unique=True)
    name: Mapped[str] = mapped_column(sorted_text(200))
    description: Mapped[str] = mapped_column(Text, default="")
    price: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)

    cache_tags: ClassVar = ("products",)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy expects a plain dict
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("length(currency) = 3 AND currency = upper(currency)", name="currency_code"),
        CheckConstraint("length(sku) > 0", name="sku_not_empty"),
        CheckConstraint("length(name) > 0", name="name_not_empty"),
        # One index for each sort order of the list, with the id last, so that a page starts at its cursor.
        Index("ix_products_name_id", name, id),
        Index("ix_products_price_id", price, id),
        Index("ix_products_created_at_id", created_at, id),
        Index("ix_products_currency_price_id", currency, price, id),
        Index("ix_products_search", text(SEARCH_VECTOR), postgresql_using="gin"),
        {"sqlite_autoincrement": True},  # never reuse the id of a deleted row, as in Postgres
    )
