"""`flask db upgrade` on Postgres: one upgrade at a time, one transaction for each migration, and timeouts."""

import pytest

from tests.integration.conftest import fresh_database
from tests.support.helpers import free_port, wait_for
from tests.support.integration.migration_folder import extended, replace, run, session, start

COLUMN = 'op.add_column("products", sa.Column("colour", sa.String(20)))'
COLUMNS = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'colour'"
NOTES = 'op.create_table("notes", sa.Column("text", sa.Text))'
GATE = 1

# Waits for the test, records that it ran, and builds an index, which waits for all sessions that hold a snapshot.
GATED = f"""
op.execute("SET lock_timeout = 0")
op.execute("SELECT pg_advisory_xact_lock({GATE})")
op.execute("INSERT INTO notes VALUES ('ran')")
with op.get_context().autocommit_block():
    op.create_index("ix_products_version", "products", ["version"], postgresql_concurrently=True)
"""
NOTE_LIMITS = """op.execute(
    "INSERT INTO notes SELECT concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'), "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()))")
"""
BLOCK = f"""
with op.get_context().autocommit_block():
    op.create_index("ix_products_version", "products", ["version"], postgresql_concurrently=True)
{NOTE_LIMITS}
"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid"
OWN_LIMITS = """
op.execute("SET lock_timeout = '7s'")
op.execute("SET statement_timeout = '8s'")
"""
HOLD_UPGRADE_LOCK = "SELECT pg_advisory_lock(5107190)"


@pytest.fixture
def url(postgres):
    """A migrated database for this test."""
    return fresh_database(postgres)


@pytest.fixture
def sql(url):
    """Run statements on one connection."""
    with session(url) as execute:
        yield execute


def count_upgrades(sql):
    """Count the connected upgrades."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'migrations' AND datname = current_database()"
    )
    return sql(query)[0][0]


def revision(sql):
    """Return the revision of the database."""
    return sql("SELECT version_num FROM alembic_version")[0][0]


@pytest.mark.guarantee("Concurrent upgrades apply each migration once")
def test_concurrent_upgrades(url, sql, tmp_path):
    """Of two concurrent upgrades one applies each migration, even a concurrent index; the other waits."""
    folder = extended(tmp_path, NOTES, GATED)
    sql(f"SELECT pg_advisory_lock({GATE})")
    processes = [start(url, folder, "upgrade") for _ in range(2)]
    try:
        wait_for(lambda: count_upgrades(sql) == 2, seconds=20)
        sql(f"SELECT pg_advisory_unlock({GATE})")
        done = [process.communicate(timeout=40)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], done
    assert sql("SELECT text FROM notes") == [("ran",)]
    assert sorted(output.count("Running upgrade") for output in done) == [0, 2]


def test_other_upgrade_takes_too_long(url, sql, tmp_path):
    """An upgrade that waits too long for another one fails, and names its session."""
    folder = extended(tmp_path, COLUMN)
    replace(folder, "UPGRADE_WAIT_S = 60", "UPGRADE_WAIT_S = 1")
    sql(HOLD_UPGRADE_LOCK)
    (pid,) = sql("SELECT pg_backend_pid()")[0]
    done = run(url, folder, "upgrade")
    assert (done.returncode, "another upgrade has been running for over 1 s" in done.stderr) == (1, True), done.stderr
    assert f"pid {pid} " in done.stderr
    assert sql(COLUMNS) == [(0,)]


def test_current_does_not_wait(url, sql, tmp_path):
    """`flask db current` works during an upgrade."""
    folder = extended(tmp_path)
    replace(folder, "UPGRADE_WAIT_S = 60", "UPGRADE_WAIT_S = 1")
    sql(HOLD_UPGRADE_LOCK)
    done = run(url, folder, "current")
    assert (done.returncode, revision(sql) in done.stdout) == (0, True), done.stderr


def test_timeouts_and_lock_survive_an_autocommit_block(url, sql, tmp_path):
    """After an autocommit block the migration still has its timeouts and the advisory lock."""
    done = run(url, extended(tmp_path, NOTES, BLOCK), "upgrade")
    assert done.returncode == 0, done.stderr
    assert sql("SELECT text FROM notes") == [("1s 10min 1",)]
    assert sql(f"{VALID} = 'ix_products_version'::regclass") == [(True,)]


def test_timeouts_are_reset_after_a_migration(url, sql, tmp_path):
    """Timeouts that a migration SETs are reset before the next one."""
    done = run(url, extended(tmp_path, NOTES, OWN_LIMITS, NOTE_LIMITS), "upgrade")
    assert done.returncode == 0, done.stderr
    assert sql("SELECT text FROM notes") == [("1s 10min 1",)]


def test_migration_is_a_transaction(url, sql, tmp_path):
    """A failed migration is rolled back; those before it remain."""
    done = run(url, extended(tmp_path, NOTES, f'{COLUMN}\nop.execute("SELECT 1/0")'), "upgrade")
    assert (done.returncode, revision(sql), sql(COLUMNS)) == (1, "added1", [(0,)]), done.stderr


def test_statement_timeout(url, tmp_path):
    """A statement timeout ends the upgrade with one line."""
    slow = "op.execute(\"SET statement_timeout = '50ms'\")\nop.execute('SELECT pg_sleep(20)')"
    done = run(url, extended(tmp_path, slow), "upgrade")
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert last.startswith("Error: Migration failed: canceling statement due to statement timeout.")


def test_unavailable_server(tmp_path):
    """Without a server the upgrade ends with one line that names the setting to check."""
    done = run(f"postgresql://nobody@127.0.0.1:{free_port()}/none", extended(tmp_path), "upgrade")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "the database is unavailable (" in done.stderr
    assert "check MIGRATION_DATABASE_URL" in done.stderr
