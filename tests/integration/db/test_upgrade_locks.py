"""`flask db upgrade` times out on a lock and retries, while the old release keeps serving."""

import contextlib
import threading
import time

import psycopg2
import pytest

from tests.integration.conftest import fresh_database
from tests.support.integration.migration_folder import extended, replace, run, session, start

COLUMN = 'op.add_column("products", sa.Column("colour", sa.String(20)))'
COLUMNS = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'colour'"
REPEATABLE = """
with op.get_context().autocommit_block():
    op.drop_index("ix_api_tokens_scopes", postgresql_concurrently=True, if_exists=True)
    op.create_index("ix_api_tokens_scopes", "api_tokens", ["scopes"], postgresql_concurrently=True)
"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid"


@pytest.fixture
def url(postgres):
    """A migrated database for this test."""
    return fresh_database(postgres)


@pytest.fixture
def sql(url):
    """Run statements on one connection."""
    with session(url) as execute:
        yield execute


@pytest.fixture
def idle(url):
    """An open transaction that has read the products, so that every ALTER waits for it."""
    with contextlib.closing(psycopg2.connect(url, application_name="forgotten")) as connection:
        connection.cursor().execute("SELECT count(*) FROM products")
        yield connection


def revision(sql):
    """Return the revision of the database."""
    return sql("SELECT version_num FROM alembic_version")[0][0]


class Reader(threading.Thread):
    """Reads the products repeatedly, with the application's statement timeout."""

    def __init__(self, url):
        super().__init__()
        self.url, self.slowest, self.failed, self.ended = url, 0.0, [], threading.Event()

    def run(self):
        """Read every 20 ms until stopped."""
        with contextlib.closing(psycopg2.connect(self.url, options="-c statement_timeout=2000")) as connection:
            connection.autocommit = True
            while not self.ended.wait(0.02):
                started = time.monotonic()
                try:
                    connection.cursor().execute("SELECT count(*) FROM products")
                except psycopg2.Error as error:
                    self.failed.append(str(error))
                self.slowest = max(self.slowest, time.monotonic() - started)


@pytest.fixture
def reader(url):
    """A running reader."""
    thread = Reader(url)
    thread.start()
    yield thread
    thread.ended.set()
    thread.join(10)


@pytest.mark.guarantee("A migration blocked by a lock fails in time and delays no reader")
def test_lock_is_never_released(url, sql, idle, reader, tmp_path):
    """An upgrade blocked by an idle transaction fails in time with a line that names it; no reader fails."""
    before, started = revision(sql), time.monotonic()
    done = run(url, extended(tmp_path, COLUMN), "upgrade")
    took = time.monotonic() - started
    assert (done.returncode, took < 20) == (1, True), (took, done.stderr)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: Migration failed: could not obtain a lock within 1 s, 3 times; pid ")
    for part in (
        f"pid {idle.info.backend_pid} (forgotten",
        "idle in transaction",
        "holds products",
        "the serving release is unaffected",
    ):
        assert part in last
    assert "Traceback" not in done.stderr
    assert (revision(sql), sql(COLUMNS)) == (before, [(0,)])
    assert (reader.failed, reader.slowest < 2) == ([], True), reader.slowest
    assert reader.slowest > 0.5  # it queued behind the ALTER


def test_lock_is_released(url, sql, idle, tmp_path):
    """A blocked upgrade retries, and succeeds after the lock is released."""
    process = start(url, extended(tmp_path, COLUMN), "upgrade")
    try:
        assert any("retrying" in line for line in process.stderr)
        idle.rollback()
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, revision(sql), sql(COLUMNS)) == (0, "added1", [(1,)])


def test_concurrent_index_is_retried(url, sql, tmp_path):
    """A retry rebuilds a concurrent index if the migration first drops the invalid one of the failed attempt."""
    with contextlib.closing(psycopg2.connect(url)) as writer:
        writer.cursor().execute("INSERT INTO api_tokens VALUES (1, 'n', 'h', 's', now())")
        process = start(url, extended(tmp_path, REPEATABLE), "upgrade")
        try:
            assert any("retrying" in line for line in process.stderr)
            assert sql(f"{VALID} = 'ix_api_tokens_scopes'::regclass") == [(False,)]
            writer.rollback()
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, sql(f"{VALID} = 'ix_api_tokens_scopes'::regclass")) == (0, [(True,)])


def test_role_with_few_privileges(url, sql, tmp_path):
    """The message names the lock holder even if the role may not see other sessions' state."""
    sql("CREATE ROLE few_privileges LOGIN")
    sql("ALTER TABLE products OWNER TO few_privileges")
    sql("GRANT SELECT ON alembic_version, applied_migrations TO few_privileges")
    folder = extended(tmp_path, COLUMN)
    replace(folder, "RETRY_PAUSES_S = (2, 4)", "RETRY_PAUSES_S = ()")
    with contextlib.closing(psycopg2.connect(url, application_name="forgotten")) as idle:
        idle.cursor().execute("SELECT count(*) FROM products")
        pid = idle.info.backend_pid
        done = run(url.replace("postgres@", "few_privileges@"), folder, "upgrade")
    assert f"pid {pid} (forgotten, role postgres, state unknown) holds products" in done.stderr
