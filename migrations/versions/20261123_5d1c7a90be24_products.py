"""Products, with an index for each sort order and a full-text index.

Revision: 5d1c7a90be24, the first
"""

import sqlalchemy as sa
from alembic import op

revision = "5d1c7a90be24"
down_revision = None
branch_labels = None
depends_on = None

# Replace characters that join words for the Postgres parser with spaces.
JOINS = "-./@_+~#&=?<>"
WORDS = f"to_tsvector('simple', translate(name || ' ' || description, '{JOINS}', '{' ' * len(JOINS)}'))"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def sorted_text(length):
    """Sort by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade():
    """Create the table and its indexes."""
    op.create_table(
        "products",
        sa.Column("id", ID, nullable=False),
        sa.Column("sku", sorted_text(64), nullable=False),
        sa.Column("name", sorted_text(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_products_price_not_negative")),
        sa.CheckConstraint(
            "length(currency) = 3 AND currency = upper(currency)", name=op.f("ck_products_currency_code")
        ),
        sa.CheckConstraint("length(sku) > 0", name=op.f("ck_products_sku_not_empty")),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_products_name_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_products_name_id", "products", ["name", "id"])
    op.create_index("ix_products_price_id", "products", ["price", "id"])
    op.create_index("ix_products_created_at_id", "products", ["created_at", "id"])
    op.create_index("ix_products_currency_price_id", "products", ["currency", "price", "id"])
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_products_search", "products", [sa.text(WORDS)], postgresql_using="gin")


def downgrade():
    """Drop the table; its indexes go with it."""
    op.drop_table("products")
