"""The check of migrations: what would break the release that serves is refused, the rest and contract steps are not."""

import importlib
import os
import subprocess
import sys
from functools import partial

import pytest

from tests.integration.conftest import names
from tests.support.helpers import ROOT
from tests.support.integration.migration_folder import extended

steps = importlib.import_module("deploy.migration_check.steps")

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
    "drop column": ('op.drop_column("products", "description")', "column products.description is gone"),
    "drop table": ('op.drop_table("idempotency_keys")', "table idempotency_keys is gone"),
    "drop view": ('op.execute("DROP VIEW cheap")', "view cheap is gone"),
    "rename column": (
        'op.alter_column("products", "name", new_column_name="title")',
        "column products.name is renamed to title",
    ),
    "rename table": ('op.rename_table("api_tokens", "tokens")', "table api_tokens is renamed to tokens"),
    "table becomes view": (
        'op.rename_table("api_tokens", "tokens")\nop.execute("CREATE VIEW api_tokens AS SELECT * FROM tokens")',
        "table api_tokens is now another kind of relation",
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
        "column products.colour loses the default",
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
        "table products gets uq_products_name (uniqueness)",
    ),
    "unique index": (
        BLOCK + 'op.create_index("uq_products_name", "products", ["name"], unique=True, postgresql_concurrently=True)',
        "table products gets uq_products_name (uniqueness)",
    ),
    "check": (
        'op.execute("ALTER TABLE products ADD CONSTRAINT ck_dear CHECK (price > 9) NOT VALID")',
        "table products gets ck_dear (check)",
    ),
    "foreign key": (
        'op.execute("ALTER TABLE products ADD CONSTRAINT fk_x FOREIGN KEY (price) REFERENCES api_tokens NOT VALID")',
        "table products gets fk_x (foreign key)",
    ),
    "drop unique constraint": (
        'op.drop_constraint("uq_products_sku", "products")',
        "table products loses uq_products_sku (uniqueness)",
    ),
    "index with a lock": (
        'op.create_index("ix_products_version", "products", ["version"])',
        "table products: an index was built",
    ),
    "index with a lock in SQL": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'CREATE INDEX ON products (version)'; END $$\")",
        "table products: an index was built",
    ),
    "table written anew": (
        'op.add_column("products", sa.Column("mark", sa.Uuid, server_default=sa.text("gen_random_uuid()")))',
        "table products is written anew",
    ),
    "not to be printed": (
        'op.get_bind().execute(sa.text("SELECT 1")).scalar()',
        "cannot be printed as SQL",
    ),
    "not to be applied": ('op.execute("SELECT 1/0")', "cannot be applied"),
    "null allowed": ('op.alter_column("products", "description", nullable=True)', "(squawk: ban-drop-not-null)"),
    "row type loses a column": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'ALTER TYPE pair DROP ATTRIBUTE b'; END $$\")",
        "column pair.b is gone",
    ),
    "function dropped": (
        "op.execute(\"DO $$ BEGIN EXECUTE 'DROP FUNCTION one()'; END $$\")",
        "function one() can no longer be used by app, app_backup, app_monitor, app_owner",
    ),
    "privilege taken": (
        'op.execute("REVOKE INSERT ON products FROM app")',
        "table products: role app loses INSERT, and the old release may use it",
    ),
    "privilege left for one column": (
        'op.execute("REVOKE UPDATE ON api_tokens FROM app")\nop.execute("GRANT UPDATE (name) ON api_tokens TO app")',
        "table api_tokens: role app loses UPDATE (created_at, ",
    ),
    "privilege for a sequence taken": (
        'op.execute("REVOKE USAGE ON SEQUENCE products_id_seq FROM app")',
        "sequence products_id_seq can no longer be used by app, and",
    ),
    "privilege for the schema taken": (
        'op.execute("REVOKE USAGE ON SCHEMA public FROM app")',
        "schema public can no longer be used by app, and",
    ),
    "more than the owner may": ('op.execute("ALTER ROLE app NOLOGIN")', "permission denied"),
    "row level security": (
        'op.execute("ALTER TABLE products ENABLE ROW LEVEL SECURITY")',
        "table products gets row level security",
    ),
    "rewrite rule": (
        'op.execute("CREATE RULE nothing AS ON INSERT TO products DO INSTEAD NOTHING")',
        "table products gets rewrite rule nothing",
    ),
    "squawk's": (
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
    "column that refers to a new table": (
        NEW_TABLE + '\nop.add_column("products", sa.Column("maker_id", sa.BigInteger))\n'
        'op.execute("ALTER TABLE products ADD CONSTRAINT fk_x FOREIGN KEY (maker_id) REFERENCES makers NOT VALID")'
    ),
    "privilege given": 'op.execute("GRANT TRUNCATE ON products TO app")',
    "enum value": BLOCK + "op.execute(\"ALTER TYPE size ADD VALUE IF NOT EXISTS 'huge'\")",
    "wider view": 'op.execute("CREATE OR REPLACE VIEW cheap AS SELECT id, price, sku FROM products")',
}


@pytest.fixture
def check(postgres, tmp_path):
    """Check the project's migrations with some more, of which the last is the one in question."""
    return partial(checked, postgres, tmp_path, PREPARE)


def checked(postgres, place, *bodies, contract=False):
    """Check the project's migrations with some more; the last one may be a contract step."""
    name = f"check_{next(names)}"
    postgres.sql(f"CREATE DATABASE {name}")
    folder = extended(place, *bodies)
    if contract:
        module = folder / f"versions/added{len(bodies)}.py"
        module.write_text(module.read_text().replace("contract = False", "contract = True"))
    return steps.check(folder, postgres.url(name))


@pytest.mark.parametrize("kind", BAD)
def test_bad(check, kind):
    """A step that would break the release that serves is refused, with a sentence that says where."""
    body, sentence = BAD[kind]
    problems = check(body).problems
    assert any(problem.startswith("added2.py: ") and sentence in problem for problem in problems), problems


@pytest.mark.parametrize("kind", sorted(BAD.keys() - {"not to be applied", "more than the owner may"}))
def test_bad_as_a_contract_step(check, kind):
    """The same step passes when its module says `contract = True`, and is listed."""
    report = check(BAD[kind][0], contract=True)
    assert report == ([], ["added2.py: a contract step, not checked"])


@pytest.mark.parametrize("kind", GOOD)
def test_good(check, kind):
    """A step that only expands the schema passes."""
    assert check(GOOD[kind]) == ([], [])


@pytest.mark.parametrize(("body", "code"), [(GOOD["nullable column"], 0), (BAD["drop table"][0], 1)])
def test_command(tmp_path, body, code):
    """The command starts a Postgres of its own, prints every problem, and exits with 1 if there is one."""
    command = [sys.executable, str(ROOT / "scripts/check_migrations.py"), str(extended(tmp_path, body))]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "table idempotency_keys is gone" in done.stderr) == (code, code == 1), done.stderr
