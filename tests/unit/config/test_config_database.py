"""Database URLs: any common scheme, always psycopg2, any password."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import ConfigError, load

SCHEMES = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"]


def url(environment="development", **environ):
    """Return the resulting database URL."""
    return load(environment, environ).SQLALCHEMY_DATABASE_URI


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["SQLALCHEMY_DATABASE_URI", "MIGRATION_DATABASE_URL"])
def test_one_driver(name, scheme):
    """Every Postgres scheme selects psycopg2."""
    found = getattr(load("development", {"DATABASE_URL": f"{scheme}://app:pw@db:6543/shop"}), name)
    assert found.render_as_string(hide_password=False) == "postgresql+psycopg2://app:pw@db:6543/shop"


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_password(password):
    """A percent-encoded password may contain any character."""
    found = url(DATABASE_URL=f"postgres://app:{quote(password, safe='')}@db/shop")
    assert (found.username, found.password, found.host, found.database) == ("app", password, "db", "shop")


def test_query_parameters():
    """Query parameters are passed to the driver."""
    assert url(DATABASE_URL="postgres://db/shop?sslmode=require").query == {"sslmode": "require"}


def test_database_host():
    """DATABASE_HOST replaces the host for the application, not for migrations."""
    settings = load("development", {"DATABASE_URL": "postgres://app:pw@db:6543/x", "DATABASE_HOST": "pgbouncer"})
    assert settings.SQLALCHEMY_DATABASE_URI.render_as_string(hide_password=False).endswith("app:pw@pgbouncer:6543/x")
    assert settings.MIGRATION_DATABASE_URL.host == "db"


def test_database_host_with_sqlite():
    """DATABASE_HOST does not apply to SQLite."""
    assert url(DATABASE_HOST="pgbouncer").host is None


def test_other_databases():
    """An unsupported database is refused by name."""
    with pytest.raises(ConfigError, match="DATABASE_URL: mysql is not supported"):
        url(DATABASE_URL="mysql://db/shop")


def test_migration_database_url():
    """MIGRATION_DATABASE_URL is used only by migrations, with the same driver."""
    settings = load(
        "development", {"DATABASE_URL": "postgres://app@db/x", "MIGRATION_DATABASE_URL": "postgres://o@d/x"}
    )
    assert str(settings.SQLALCHEMY_DATABASE_URI) == "postgresql+psycopg2://app@db/x"
    assert str(settings.MIGRATION_DATABASE_URL) == "postgresql+psycopg2://o@d/x"


def test_test_database():
    """The test suite uses TEST_DATABASE_URL and ignores DATABASE_URL."""
    settings = load("testing", {"TEST_DATABASE_URL": "postgres://t@db/t", "DATABASE_URL": "postgres://app@db/live"})
    assert str(settings.SQLALCHEMY_DATABASE_URI) == "postgresql+psycopg2://t@db/t"
    assert str(settings.MIGRATION_DATABASE_URL) == "postgresql+psycopg2://t@db/t"


def test_test_database_is_for_tests():
    """Other environments ignore TEST_DATABASE_URL."""
    assert str(url(TEST_DATABASE_URL="postgres://t@db/t")) == "sqlite:///app.db"
