"""The migration check refuses steps that would break the serving release, and accepts expand and contract steps."""

import os
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT
from tests.support.integration.migration_folder import extended

BLOCK = "with op.get_context().autocommit_block():\n    "
NEW_TABLE = 'op.create_table("makers", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("n", sa.Text))'
PREPARE = """
op.execute("CREATE TYPE size AS ENUM ('small', 'large')")
op.execute("CREATE TYPE pair AS (a integer, b integer)")
op.execute("CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
op.execute("CREATE VIEW cheap AS SELECT id, price FROM products WHERE price < 100")
op.add_column("products", sa.Column("colour", sa.Text, server_default="red", nullable=False))
"""

BAD = {
    "drop column": ('op.drop_column("products", "description")', "column products.description is dropped"),
    "drop table": ('op.drop_table("idempotency_keys")', "table idempotency_keys is dropped"),
    "drop view": ('op.execute("DROP VIEW cheap")', "view cheap is dropped"),
    "rename column": (
        'op.alter_column("products", "name", new_column_name="title")',
        "column products.name is renamed to title",
    ),
    "rename table": ('op.rename_table("api_tokens", "tokens")', "table api_tokens is renamed to tokens"),
    "table becomes view": (
        'op.rename_table("api_tokens", "tokens")\nop.execute("CREATE VIEW api_tokens AS SELECT * FROM tokens")',
        "table api_tokens becomes another kind of relation",
    ),
    "rename enum value": (
        "op.execute(\"ALTER TYPE size RENAME VALUE 'small' TO 's'\")",
        "type size loses the value 'small'",
    ),
    "not null without default": (
        'op.add_column("products", sa.Column("weight", sa.BigInteger, nullable=False))',
        "column products.weight is new, NOT NULL and has no default",
    ),
    "set not null": (
        'op.alter_column("api_tokens", "expires_at", nullable=False)',
        "column api_tokens.expires_at becomes NOT NULL",
    ),
    "drop default": (
        'op.alter_column("products", "colour", server_default=None)',
        "column products.colour loses its default",
    ),
    "change type": (
        'op.alter_column("products", "version", type_=sa.BigInteger)',
        "column products.version changes its type from integer to bigint",
    ),
    "change type in SQL": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'ALTER TABLE products ALTER version TYPE bigint'; END $$\")",
        "column products.version changes its type from integer to bigint",
    ),
    "unique constraint": (
        'op.create_unique_constraint("uq_products_name", "products", ["name"])',
        "table products gets the constraint uq_products_name (unique)",
    ),
    "unique index": (
        BLOCK + 'op.create_index("uq_products_name", "products", ["name"], unique=True, postgresql_concurrently=True)',
        "table products gets the constraint uq_products_name (unique)",
    ),
    "check": (
        'op.execute("ALTER TABLE products ADD CONSTRAINT ck_dear CHECK (price > 9) NOT VALID")',
        "table products gets the constraint ck_dear (check)",
    ),
    "foreign key": (
        'op.execute("ALTER TABLE products ADD CONSTRAINT fk_x FOREIGN KEY (price) REFERENCES api_tokens NOT VALID")',
        "table products gets the constraint fk_x (foreign key)",
    ),
    "drop unique constraint": (
        'op.drop_constraint("uq_products_sku", "products")',
        "table products loses the constraint uq_products_sku (unique)",
    ),
    "index with a lock": (
        'op.create_index("ix_products_version", "products", ["version"])',
        "table products: an index is built",
    ),
    "index with a lock in SQL": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'CREATE INDEX ON products (version)'; END $$\")",
        "table products: an index is built",
    ),
    "table rewrite": (
        'op.add_column("products", sa.Column("mark", sa.Uuid, server_default=sa.text("gen_random_uuid()")))',
        "table products is rewritten",
    ),
    "cannot be rendered": (
        'op.get_bind().execute(sa.text("SELECT 1")).scalar()',
        "cannot be rendered as SQL",
    ),
    "cannot be applied": ('op.execute("SELECT 1/0")', "cannot be applied"),
    "drop not null": ('op.alter_column("products", "description", nullable=True)', "(squawk: ban-drop-not-null)"),
    "drop attribute of row type": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'ALTER TYPE pair DROP ATTRIBUTE b'; END $$\")",
        "column pair.b is dropped",
    ),
    "drop function": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'DROP FUNCTION one()'; END $$\")",
        "function one() is no longer usable by app, app_backup, app_monitor, app_owner",
    ),
    "revoke privilege": (
        'op.execute("REVOKE INSERT ON products FROM app")',
        "table products: role app loses INSERT, but the old release may use it",
    ),
    "restrict privilege to one column": (
        'op.execute("REVOKE UPDATE ON api_tokens FROM app")\nop.execute("GRANT UPDATE (name) ON api_tokens TO app")',
        "table api_tokens: role app loses UPDATE (created_at, ",
    ),
    "revoke privilege on sequence": (
        'op.execute("REVOKE USAGE ON SEQUENCE products_id_seq FROM app")',
        "sequence products_id_seq is no longer usable by app, but",
    ),
    "revoke privilege on schema": (
        'op.execute("REVOKE USAGE ON SCHEMA public FROM app")',
        "schema public is no longer usable by app, but",
    ),
    "not permitted for the owner": ('op.execute("ALTER ROLE app NOLOGIN")', "permission denied"),
    "row level security": (
        'op.execute("ALTER TABLE products ENABLE ROW LEVEL SECURITY")',
        "table products gets row level security",
    ),
    "rewrite rule": (
        'op.execute("CREATE RULE nothing AS ON INSERT TO products DO INSTEAD NOTHING")',
        "table products gets rewrite rule nothing",
    ),
    "squawk rule": (
        'op.execute("ALTER TABLE products ADD COLUMN mark char(3)")',
        "(squawk: ban-char-field)",
    ),
}
GOOD = {
    "new table": NEW_TABLE + '\nop.create_index("ix_makers_n", "makers", ["n"], unique=True)',
    "nullable column": 'op.add_column("products", sa.Column("weight", sa.BigInteger))',
    "column with default": (
        'op.add_column("products", sa.Column("weight", sa.BigInteger, server_default="0", nullable=False))'
    ),
    "concurrent index": (
        BLOCK + 'op.drop_index("ix_products_version", postgresql_concurrently=True, if_exists=True)\n'
        '    op.create_index("ix_products_version", "products", ["version"], postgresql_concurrently=True)'
    ),
    "backfill": (
        "from app.db.backfill import update_in_batches\n"
        "update_in_batches(op, 'products', \"colour = 'blue'\", \"colour = 'red' AND name LIKE 'B%'\")"
    ),
    "column that references a new table": (
        NEW_TABLE + '\nop.add_column("products", sa.Column("maker_id", sa.BigInteger))\n'
        'op.execute("ALTER TABLE products ADD CONSTRAINT fk_x FOREIGN KEY (maker_id) REFERENCES makers NOT VALID")'
    ),
    "grant privilege": 'op.execute("GRANT TRUNCATE ON products TO app")',
    "enum value": BLOCK + "op.execute(\"ALTER TYPE size ADD VALUE IF NOT EXISTS 'huge'\")",
    "wider view": 'op.execute("CREATE OR REPLACE VIEW cheap AS SELECT id, price, sku FROM products")',
}


@pytest.fixture(scope="module")
def check(migration_checker):
    """Check a migration on a schema that PREPARE has extended."""
    return migration_checker(PREPARE)


@pytest.mark.guarantee("A migration that would break the previous release is refused, unless it declares that it does")
@pytest.mark.parametrize("kind", BAD)
def test_bad(check, kind):
    """A step that would break the serving release is refused, with its location and the reason."""
    body, message = BAD[kind]
    problems = check(body).problems
    assert any(problem.startswith("added2.py: ") and message in problem for problem in problems), problems


@pytest.mark.parametrize("kind", sorted(BAD.keys() - {"cannot be applied", "not permitted for the owner"}))
def test_bad_as_a_contract_step(check, kind):
    """The same step is accepted and listed when its module sets `contract = True`."""
    report = check(BAD[kind][0], contract=True)
    assert report == ([], ["added2.py: contract step, not checked"])


@pytest.mark.parametrize("kind", GOOD)
def test_good(check, kind):
    """A step that only expands the schema is accepted."""
    assert check(GOOD[kind]) == ([], [])


@pytest.mark.parametrize(("body", "code"), [(GOOD["nullable column"], 0), (BAD["drop table"][0], 1)])
def test_command(tmp_path, body, code):
    """The command starts its own Postgres, prints each problem, and exits with 1 if there is one."""
    command = [sys.executable, str(ROOT / "scripts/check_migrations.py"), str(extended(tmp_path, body))]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "table idempotency_keys is dropped" in done.stderr) == (code, code == 1), done.stderr
