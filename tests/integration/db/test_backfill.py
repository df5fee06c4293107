"""A column that a migration fills in batches: each of them short, none twice, and what users wrote stays."""

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
    """A migrated database of this test's own."""
    return fresh_database(postgres)


@pytest.fixture
def sql(url):
    """Run a statement, over one connection; there are two batches and a half of products, some with an id below 0."""
    with session(url) as execute:
        execute(ADDED)
        yield execute


def test_every_row_gets_its_value_and_no_transaction_changes_many(url, sql, tmp_path):
    """Each row that lacks a value has it afterwards, and no more than a thousand were changed at a time."""
    assert run(url, extended(tmp_path, COLUMN, FILL), "upgrade").returncode == 0
    assert sql(FILLED) == [(ROWS * 5 // 2,)]
    assert sql("SELECT count(*) FROM products GROUP BY xmin ORDER BY 1") == [(ROWS // 2,), (ROWS,), (ROWS,)]


def test_what_a_user_holds_is_met_again(url, sql, tmp_path):
    """A row that stays locked ends the attempt; what was filled is kept, and the next one does what is left."""
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


def test_an_empty_table(url, tmp_path):
    """Where there is no row there is nothing to do."""
    assert run(url, extended(tmp_path, COLUMN, FILL), "upgrade").returncode == 0


def test_on_sqlite(tmp_path):
    """The same migration fills the column on SQLite."""
    url, folder = f"sqlite:///{tmp_path}/test.db", extended(tmp_path, COLUMN, FILL)
    assert run(url, folder, "upgrade", "added1").returncode == 0
    with contextlib.closing(sqlite3.connect(f"{tmp_path}/test.db")) as database, database:
        database.execute(
            "INSERT INTO products VALUES (1, 'S1', 'Red', '', 1, 'EUR', 1, '2026-01-01', '2026-01-01', null)"
        )
    assert run(url, folder, "upgrade").returncode == 0
    with contextlib.closing(sqlite3.connect(f"{tmp_path}/test.db")) as database:
        assert database.execute(FILLED).fetchall() == [(1,)]
