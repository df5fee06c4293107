"""The table of the applied migrations: every way to apply one, to take it back or to declare it leaves it true."""

import contextlib
import shutil

import pytest

from tests.integration.conftest import fresh_database, names
from tests.support.integration.migration_folder import Release, extended, session

BEFORE = "c7b90d51a3f8"  # the last one of the releases that had no such table
OURS = [("5d1c7a90be24", False), ("8e42f3b6c015", False), ("c7b90d51a3f8", False), ("f2a61b08d3c4", False)]
INDEX = 'op.create_index("ix_products_version", "products", ["version"], postgresql_concurrently=True)'
BLOCK = f"with op.get_context().autocommit_block():\n    {INDEX}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, folder):
    """A migrated database of this test's own."""
    if request.param == "postgres":
        return fresh_database(request.getfixturevalue("postgres"))
    path = folder / f"applied_{next(names)}.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def release():
    """Make a release that has the migrations of a folder, on a database."""
    with contextlib.ExitStack() as stack:
        yield lambda *which: stack.enter_context(contextlib.closing(Release(*which)))


def applied(release):
    """Return what the table says."""
    query = "SELECT revision, contract FROM applied_migrations WHERE applied_at IS NOT NULL ORDER BY 1"
    return [(revision, bool(contract)) for revision, contract in release.execute(query)]


def done(result):
    """Return the output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return result.output


def test_every_step_is_recorded(url, release, tmp_path):
    """An upgrade records each migration with what its module says of it, and a downgrade takes its row back."""
    ours = release(url, extended(tmp_path, "pass", contract=True))
    done(ours.db("upgrade"))
    assert applied(ours) == sorted([*OURS, ("added1", True)])
    done(ours.db("downgrade"))
    assert applied(ours) == OURS


def test_an_earlier_database_gets_the_table(url, release):
    """A database of a release without the table lacks a migration, and is level after an upgrade that fills it."""
    ours = release(url)
    done(ours.db("downgrade", BEFORE))
    assert ours.migrations() == (503, "unavailable")
    assert '"revision": "f2a61b08d3c4", "contract": false' in done(ours.flask("schema", "pending"))
    done(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (OURS, (200, "current"))


def test_down_to_nothing_and_up_again(url, release):
    """After a way down to nothing and up again the table says what it said."""
    ours = release(url)
    done(ours.db("downgrade", "base"))
    assert ours.migrations() == (503, "unavailable")
    done(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (OURS, (200, "current"))


def test_a_failed_step_is_not_recorded(url, release, tmp_path):
    """What a failed migration did is not recorded, and what came before it is."""
    ours = release(url, extended(tmp_path, "pass", 'raise ValueError("no")'))
    assert ours.db("upgrade").exit_code == 1
    assert applied(ours) == sorted([*OURS, ("added1", False)])


def test_a_step_in_autocommit_is_recorded(postgres, release, tmp_path):
    """A migration with a block outside of a transaction is recorded as any other."""
    ours = release(fresh_database(postgres), extended(tmp_path, BLOCK))
    done(ours.db("upgrade"))
    assert (applied(ours), ours.migrations()) == (sorted([*OURS, ("added1", False)]), (200, "current"))


def test_a_stamp_declares_all_that_comes_before_it(url, release, tmp_path):
    """`flask db stamp` leaves in the table what it declares to be applied, up and down, and with --purge."""
    ours = release(url, extended(tmp_path, "pass", "pass"))
    done(ours.db("stamp", "added2"))
    assert applied(ours) == sorted([*OURS, ("added1", False), ("added2", False)])
    done(ours.db("stamp", "f2a61b08d3c4"))
    assert applied(ours) == OURS
    done(ours.db("stamp", "--purge", "added1"))
    assert applied(ours) == sorted([*OURS, ("added1", False)])


def test_a_stamp_without_the_table(url, release):
    """On a database that has no such table a stamp is no error: there is nothing to keep true."""
    ours = release(url)
    done(ours.db("downgrade", BEFORE))
    done(ours.db("stamp", "8e42f3b6c015"))
    assert ours.execute("SELECT version_num FROM alembic_version") == [("8e42f3b6c015",)]


def test_printed_sql_records_too(postgres, release, tmp_path):
    """What `flask db upgrade --sql` prints fills the table as the upgrade itself does."""
    name = f"printed_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    ours = release(postgres.url(name), extended(tmp_path, "pass", contract=True))
    with session(ours.url) as sql:
        sql(ours.db("upgrade", "--sql").stdout)
    assert (applied(ours), ours.migrations()) == (sorted([*OURS, ("added1", True)]), (200, "current"))


def test_the_applications_role_may_only_read(postgres, release):
    """The role that answers requests has by its default rights what readiness needs."""
    name = f"rights_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    postgres.sql("CREATE ROLE reads_only LOGIN")
    postgres.sql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reads_only", database=name)
    done(release(postgres.url(name)).db("upgrade"))
    assert release(postgres.url(name).replace("postgres@", "reads_only@")).migrations() == (200, "current")
