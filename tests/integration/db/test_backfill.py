"""A backfill updates each row once, in small batches, and does not overwrite users' changes."""

import contextlib
import sqlite3

import psycopg2
import pytest

from tests.integration.conftest import fresh_database
from tests.support.integration.migration_folder import extended, run, session, start

COLUMN = 'op.add_column("products", sa.Column("colour", sa.Text()))'
FILL = """
from app.db.backfill import update_in_batches
update_in_batches(op, "products", "colour = name", "colour IS NULL AND price >= 0")"""
ROWS = 1000
ADDED = f"""
    INSERT INTO products (id, sku, name, description, price, currency, version, created_at, updated_at)
    SELECT n * 7 - 100, 'S' || n, 'Red', '', 1, 'EUR', 1, now(), now() FROM generate_series(1, {ROWS * 5 // 2}) AS n"""
FILLED = "SELECT count(*) FROM products WHERE colour = 'Red'"


@pytest.fixture
def url(postgres):
    """A migrated database for this test."""
    return fresh_database(postgres)


@pytest.fixture
def sql(url):
    """Run statements on one connection; the table has two and a half batches of products, some with negative ids."""
    with session(url) as execute:
        execute(ADDED)
        yield execute


def test_batches(url, sql, tmp_path):
    """Every row is updated, at most a thousand in each transaction."""
    assert run(url, extended(tmp_path, COLUMN, FILL), "upgrade").returncode == 0
    assert sql(FILLED) == [(ROWS * 5 // 2,)]
    assert sql("SELECT count(*) FROM products GROUP BY xmin ORDER BY 1") == [(ROWS // 2,), (ROWS,), (ROWS,)]


def test_retry_after_a_locked_row(url, sql, tmp_path):
    """A locked row ends the attempt; the retry continues with the remaining rows."""
    folder = extended(tmp_path, COLUMN, FILL)
    assert run(url, folder, "upgrade", "added1").returncode == 0
    sql("UPDATE products SET colour = 'mine' WHERE sku = 'S9'")
    with contextlib.closing(psycopg2.connect(url)) as user:
        user.cursor().execute("SELECT FROM products WHERE sku = 'S1500' FOR UPDATE")
        process = start(url, folder, "upgrade")
        try:
            assert any("retrying" in line for line in process.stderr)
            assert sql(FILLED) == [(ROWS - 1,)]
            user.rollback()
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, sql(FILLED)) == (0, [(ROWS * 5 // 2 - 1,)])
    assert sql("SELECT colour FROM products WHERE sku = 'S9'") == [("mine",)]


def test_empty_table(url, tmp_path):
    """A backfill of an empty table succeeds."""
    assert run(url, extended(tmp_path, COLUMN, FILL), "upgrade").returncode == 0


def test_on_sqlite(tmp_path):
    """The same migration works on SQLite."""
    url, folder = f"sqlite:///{tmp_path}/test.db", extended(tmp_path, COLUMN, FILL)
    assert run(url, folder, "upgrade", "added1").returncode == 0
    with contextlib.closing(sqlite3.connect(f"{tmp_path}/test.db")) as database, database:
        database.execute(
            "INSERT INTO products VALUES (1, 'S1', 'Red', '', 1, 'EUR', 1, '2026-01-01', '2026-01-01', null)"
        )
    assert run(url, folder, "upgrade").returncode == 0
    with contextlib.closing(sqlite3.connect(f"{tmp_path}/test.db")) as database:
        assert database.execute(FILLED).fetchall() == [(1,)]
