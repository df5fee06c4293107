"""The table of applied migrations stays correct after every upgrade, downgrade and stamp."""

import contextlib
import shutil

import pytest

from tests.integration.conftest import fresh_database, names
from tests.support.integration.migration_folder import Release, extended, session

BEFORE = "c7b90d51a3f8"  # the last migration before the table existed
OURS = [("5d1c7a90be24", False), ("8e42f3b6c015", False), ("c7b90d51a3f8", False), ("f2a61b08d3c4", False)]
INDEX = 'op.create_index("ix_products_version", "products", ["version"], postgresql_concurrently=True)'
BLOCK = f"with op.get_context().autocommit_block():\n    {INDEX}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, folder):
    """A migrated database for this test."""
    if request.param == "postgres":
        return fresh_database(request.getfixturevalue("postgres"))
    path = folder / f"applied_{next(names)}.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def release():
    """Return a function that creates a release with the migrations of a folder."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(contextlib.closing(Release(*arguments)))


def applied(release):
    """Return the rows of the table."""
    query = "SELECT revision, contract FROM applied_migrations WHERE applied_at IS NOT NULL ORDER BY 1"
    return [(revision, bool(contract)) for revision, contract in release.execute(query)]


def successful_output(result):
    """Return the output of a successful command."""
    assert result.exit_code == 0, result.output
    return result.output


def test_every_step_is_recorded(url, release, tmp_path):
    """An upgrade records each migration and its `contract`; a downgrade deletes the row."""
    ours = release(url, extended(tmp_path, "pass", contract=True))
    successful_output(ours.db("upgrade"))
    assert applied(ours) == sorted([*OURS, ("added1", True)])
    successful_output(ours.db("downgrade"))
    assert applied(ours) == OURS


def test_earlier_database_gets_the_table(url, release):
    """Upgrading a database from before the table creates and fills it."""
    ours = release(url)
    successful_output(ours.db("downgrade", BEFORE))
    assert ours.migrations() == (503, "unavailable")
    assert '"revision": "f2a61b08d3c4", "contract": false' in successful_output(ours.flask("schema", "pending"))
    successful_output(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (OURS, (200, "current"))


def test_downgrade_to_base_and_upgrade(url, release):
    """After a downgrade to base and an upgrade the table has the same rows."""
    ours = release(url)
    successful_output(ours.db("downgrade", "base"))
    assert ours.migrations() == (503, "unavailable")
    successful_output(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (OURS, (200, "current"))


def test_failed_migration_is_not_recorded(url, release, tmp_path):
    """A failed migration is not recorded; those before it are."""
    ours = release(url, extended(tmp_path, "pass", 'raise ValueError("no")'))
    assert ours.db("upgrade").exit_code == 1
    assert applied(ours) == sorted([*OURS, ("added1", False)])


def test_autocommit_migration_is_recorded(postgres, release, tmp_path):
    """A migration with an autocommit block is recorded too."""
    ours = release(fresh_database(postgres), extended(tmp_path, BLOCK))
    successful_output(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (sorted([*OURS, ("added1", False)]), (200, "current"))


def test_stamp_records_ancestors(url, release, tmp_path):
    """`flask db stamp` records the revision and its ancestors, in both directions and with --purge."""
    ours = release(url, extended(tmp_path, "pass", "pass"))
    successful_output(ours.db("stamp", "added2"))
    assert applied(ours) == sorted([*OURS, ("added1", False), ("added2", False)])
    successful_output(ours.db("stamp", "f2a61b08d3c4"))
    assert applied(ours) == OURS
    successful_output(ours.db("stamp", "--purge", "added1"))
    assert applied(ours) == sorted([*OURS, ("added1", False)])


def test_stamp_without_the_table(url, release):
    """A stamp succeeds on a database without the table."""
    ours = release(url)
    successful_output(ours.db("downgrade", BEFORE))
    successful_output(ours.db("stamp", "8e42f3b6c015"))
    assert ours.execute("SELECT version_num FROM alembic_version") == [("8e42f3b6c015",)]


def test_offline_sql_records_too(postgres, release, tmp_path):
    """The SQL from `flask db upgrade --sql` fills the table as an online upgrade does."""
    name = f"printed_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    ours = release(postgres.url(name), extended(tmp_path, "pass", contract=True))
    with session(ours.url) as sql:
        sql(ours.db("upgrade", "--sql").stdout)
    assert (applied(ours), ours.migrations()) == (sorted([*OURS, ("added1", True)]), (200, "current"))


def test_application_role_may_only_read(postgres, release):
    """The default privileges of the application's role suffice for the readiness check."""
    name = f"rights_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    postgres.sql("CREATE ROLE reads_only LOGIN")
    postgres.sql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reads_only", database=name)
    successful_output(release(postgres.url(name)).db("upgrade"))
    assert release(postgres.url(name).replace("postgres@", "reads_only@")).migrations() == (200, "current")
