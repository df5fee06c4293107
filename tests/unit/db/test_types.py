"""Column types behave the same on Postgres and SQLite."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from app.db.types import UtcDateTime, sorted_text, utc_now

DIALECTS = [sqlite.dialect(), postgresql.dialect()]
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001 - hypothesis wants naive limits


@given(moment=MOMENTS, dialect=st.sampled_from(DIALECTS))
def test_round_trip(moment, dialect):
    """A stored datetime is read back as the same moment, aware, in UTC."""
    column = UtcDateTime()
    read = column.process_result_value(column.process_bind_param(moment, dialect), dialect)
    assert (read, read.tzinfo) == (moment, UTC)


def test_sqlite_stores_utc():
    """SQLite stores no zone, so the value is UTC and its text sorts chronologically."""
    moment = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert UtcDateTime().process_bind_param(moment, DIALECTS[0]).isoformat() == "2026-01-01T00:00:00"


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_naive(dialect):
    """A naive datetime is refused."""
    with pytest.raises(ValueError, match="naive datetime"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), dialect)  # noqa: DTZ001 - the point


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_none(dialect):
    """None is stored and read back as None."""
    assert UtcDateTime().process_bind_param(None, dialect) is UtcDateTime().process_result_value(None, dialect) is None


def test_now():
    """The current time is aware, in UTC."""
    assert utc_now().utcoffset() == timedelta(0)


def test_sorted_by_code_point():
    """On Postgres the sort order does not depend on the system locale; SQLite does not need a collation."""
    compiled = [sorted_text(64).compile(dialect=dialect) for dialect in DIALECTS]
    assert compiled == ["VARCHAR(64)", 'VARCHAR(64) COLLATE "C"']
