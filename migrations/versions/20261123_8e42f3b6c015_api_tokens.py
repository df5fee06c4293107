"""API tokens.

Revision: 8e42f3b6c015, after 5d1c7a90be24
"""

import sqlalchemy as sa
from alembic import op

revision = "8e42f3b6c015"
down_revision = "5d1c7a90be24"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    """Create the table."""
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
        sqlite_autoincrement=True,
    )


def downgrade():
    """Drop the table."""
    op.drop_table("api_tokens")
