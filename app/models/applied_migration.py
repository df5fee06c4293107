"""The history of the schema."""

from datetime import datetime

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import UtcDateTime
from app.extensions import Model


class AppliedMigration(Model):
    """An applied migration, whether this release knows it or not; only migrations/env.py writes this table."""

    __tablename__ = "applied_migrations"

    revision: Mapped[str] = mapped_column(Text, primary_key=True)
    contract: Mapped[bool]
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=func.now())
