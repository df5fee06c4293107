"""Column types that behave the same on Postgres and SQLite."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator

# SQLite generates row ids only for a column declared INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")


def sorted_text(length: int) -> String:
    """Return a string type that sorts by code point, as SQLite does: its indexes survive collation upgrades.

    https://wiki.postgresql.org/wiki/Locale_data_changes
    """
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware UTC datetime; naive values are refused because they are ambiguous."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, and drop the zone on SQLite, which cannot store one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("cannot store a naive datetime; set its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
