"""Database URLs: any scheme in use, always the one driver, any password."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import ConfigError, load

SCHEMES = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"]


def url(environment="development", **environ):
    """Return the database URL that these settings lead to."""
    return load(environment, environ).SQLALCHEMY_DATABASE_URI


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["SQLALCHEMY_DATABASE_URI", "MIGRATION_DATABASE_URL"])
def test_one_driver(name, scheme):
    """Whatever the platform calls the scheme, the driver is the one that is installed."""
    found = getattr(load("development", {"DATABASE_URL": f"{scheme}://app:pw@db:6543/shop"}), name)
    assert found.render_as_string(hide_password=False) == "postgresql+psycopg2://app:pw@db:6543/shop"


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_password(password):
    """A password survives with every character it has, when it is percent-encoded as a URL demands."""
    found = url(DATABASE_URL=f"postgres://app:{quote(password, safe='')}@db/shop")
    assert (found.username, found.password, found.host, found.database) == ("app", password, "db", "shop")


def test_parameters_stay():
    """What stands behind the question mark reaches the driver."""
    assert url(DATABASE_URL="postgres://db/shop?sslmode=require").query == {"sslmode": "require"}


def test_another_host():
    """DATABASE_HOST sends the application another way, and migrations on by the one that the URL names."""
    settings = load("development", {"DATABASE_URL": "postgres://app:pw@db:6543/x", "DATABASE_HOST": "pgbouncer"})
    assert settings.SQLALCHEMY_DATABASE_URI.render_as_string(hide_password=False).endswith("app:pw@pgbouncer:6543/x")
    assert settings.MIGRATION_DATABASE_URL.host == "db"


def test_another_host_than_none():
    """SQLite has no host."""
    assert url(DATABASE_HOST="pgbouncer").host is None


def test_other_databases():
    """Another kind of database is refused by its name."""
    with pytest.raises(ConfigError, match="DATABASE_URL: mysql is not supported"):
        url(DATABASE_URL="mysql://db/shop")


def test_migrations_may_have_an_owner():
    """MIGRATION_DATABASE_URL is used by migrations alone, and normalised alike."""
    settings = load(
        "development", {"DATABASE_URL": "postgres://app@db/x", "MIGRATION_DATABASE_URL": "postgres://o@d/x"}
    )
    assert str(settings.SQLALCHEMY_DATABASE_URI) == "postgresql+psycopg2://app@db/x"
    assert str(settings.MIGRATION_DATABASE_URL) == "postgresql+psycopg2://o@d/x"


def test_test_database():
    """The test suite runs on the server that TEST_DATABASE_URL names, and never on DATABASE_URL beside it."""
    settings = load("testing", {"TEST_DATABASE_URL": "postgres://t@db/t", "DATABASE_URL": "postgres://app@db/live"})
    assert str(settings.SQLALCHEMY_DATABASE_URI) == "postgresql+psycopg2://t@db/t"
    assert str(settings.MIGRATION_DATABASE_URL) == "postgresql+psycopg2://t@db/t"


def test_test_database_is_for_tests():
    """Another environment does not look at TEST_DATABASE_URL."""
    assert str(url(TEST_DATABASE_URL="postgres://t@db/t")) == "sqlite:///app.db"
