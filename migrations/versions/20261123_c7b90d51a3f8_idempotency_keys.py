"""Idempotency keys: stored responses, for one day.

Revision: c7b90d51a3f8, after 8e42f3b6c015
"""

import sqlalchemy as sa
from alembic import op

revision = "c7b90d51a3f8"
down_revision = "8e42f3b6c015"
branch_labels = None
depends_on = None


def upgrade():
    """Create the table."""
    op.create_table(
        "idempotency_keys",
        sa.Column("token_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["api_tokens.id"],
            name=op.f("fk_idempotency_keys_token_id_api_tokens"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])


def downgrade():
    """Drop the table."""
    op.drop_table("idempotency_keys")
