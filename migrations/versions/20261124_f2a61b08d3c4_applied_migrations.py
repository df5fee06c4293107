"""Applied migrations: all of them, whereas Alembic's own table has only the newest.

Revision: f2a61b08d3c4, after c7b90d51a3f8
"""

import sqlalchemy as sa
from alembic import op

revision = "f2a61b08d3c4"
down_revision = "c7b90d51a3f8"
branch_labels = None
depends_on = None

# env.py records this migration and all later ones.
EARLIER = ("5d1c7a90be24", "8e42f3b6c015", "c7b90d51a3f8")


def upgrade():
    """Create the table and record the earlier migrations, none of which is a contract step."""
    table = op.create_table(
        "applied_migrations",
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("contract", sa.Boolean(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_applied_migrations")),
    )
    op.bulk_insert(table, [{"revision": earlier, "contract": False} for earlier in EARLIER])


def downgrade():
    """Drop the table."""
    op.drop_table("applied_migrations")
