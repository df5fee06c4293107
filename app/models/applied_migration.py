"""What has become of the schema."""

from datetime import datetime

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.session import Model
from app.db.types import UtcDateTime


class AppliedMigration(Model):
    """A migration that was applied, known to the release that asks or not; written by migrations/env.py alone."""

    __tablename__ = "applied_migrations"

    revision: Mapped[str] = mapped_column(Text, primary_key=True)
    contract: Mapped[bool]
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=func.now())
