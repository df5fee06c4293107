"""The check of migrations: what keeps the users of a table waiting is refused, what lets them work passes."""

from functools import partial

import pytest

from tests.integration.db.test_check_migrations import checked

PREPARE = """
op.create_table("makers", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text))
op.execute("CREATE MATERIALIZED VIEW prices AS SELECT id, price FROM products")
"""
BLOCK = "with op.get_context().autocommit_block():\n    "
COLUMN = 'op.add_column("products", sa.Column("weight", sa.BigInteger))\n'
NEW_TABLE = """boxes = op.create_table(
    "boxes",
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("product_id", sa.BigInteger, sa.ForeignKey("products.id")),
    sa.Column("maker_id", sa.BigInteger, sa.ForeignKey("makers.id")),
)
op.bulk_insert(boxes, [{"id": 1}, {"id": 2}])
"""


def sql(*statements):
    """Return a migration of these statements."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def block(*statements):
    """Return a migration that runs them outside of a transaction."""
    return BLOCK + sql(*statements).replace("\n", "\n    ")


WEIGHT = "ALTER TABLE products ADD COLUMN weight bigint"
FILL = "UPDATE products SET weight = 1"
HEAVY = "ALTER TABLE products ADD CONSTRAINT ck_heavy CHECK (weight > 0) NOT VALID"
VALIDATE = "ALTER TABLE products VALIDATE CONSTRAINT ck_heavy"
MAKER = "ALTER TABLE products ADD CONSTRAINT fk_maker FOREIGN KEY (weight) REFERENCES makers"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_products_version ON products (version)"

ROWS = "rows of products are read or changed in a transaction that has locked products, and everybody waits"
PATIENT = "table products is locked after a `SET lock_timeout`"
EMPTIED = "table products is emptied by DELETE without WHERE"

BAD = {
    "backfill behind an ALTER": (COLUMN + sql(FILL), ROWS),
    "delete behind an ALTER": (COLUMN + sql("DELETE FROM products WHERE price = 0"), ROWS),
    "backfill by a block of code": (COLUMN + sql(f"DO $$ BEGIN {FILL}; END $$"), ROWS),
    "backfill by a query": (COLUMN + sql(f"WITH done AS ({FILL} RETURNING id) SELECT count(*) FROM done"), ROWS),
    "backfill in one string": (sql(f"{WEIGHT}; {FILL}"), ROWS),
    "backfill from an empty table": (
        COLUMN
        + sql(
            "CREATE TABLE weights AS SELECT 'x' AS sku, 1 AS weight WITH NO DATA",
            "UPDATE products SET weight = weights.weight FROM weights WHERE weights.sku = products.sku",
        ),
        ROWS,
    ),
    "backfill of another table": (COLUMN + sql("UPDATE makers SET name = ''"), "rows of makers are read or changed"),
    "copy behind an ALTER": (COLUMN + sql("CREATE TABLE copies AS SELECT * FROM products"), ROWS),
    "copy behind a trigger": (
        sql(
            "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER copy AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION copy()",
            "CREATE TABLE copies AS SELECT * FROM products",
        ),
        "that has locked products, and every writer waits",
    ),
    "check that is validated at once": (COLUMN + sql(f"DO $$ BEGIN {HEAVY}; {VALIDATE}; END $$"), ROWS),
    "foreign key that is validated at once": (
        COLUMN + sql(f"DO $$ BEGIN {MAKER}; END $$"),
        "rows of products are read or changed in a transaction that has locked makers, products",
    ),
    "two tables in one transaction": (
        COLUMN + 'op.add_column("makers", sa.Column("weight", sa.BigInteger))',
        "table makers is locked in a transaction in which nobody can read products any more",
    ),
    "no limit": (sql("SET lock_timeout = 0") + f"\n{COLUMN}", PATIENT),
    "a high limit": (sql("SET LOCAL lock_timeout = '60s'") + f"\n{COLUMN}", PATIENT),
    "no limit by a function": (sql("SELECT set_config('lock_timeout', '0', true)") + f"\n{COLUMN}", PATIENT),
    "no limit outside of a transaction": (
        block("SET lock_timeout = 0", 'ALTER TABLE "public"."products" ADD COLUMN weight bigint'),
        PATIENT,
    ),
    "lock": (sql("LOCK TABLE products IN ACCESS EXCLUSIVE MODE"), "table products is locked by LOCK TABLE"),
    "lock against writers": (
        sql("LOCK products IN SHARE ROW EXCLUSIVE MODE"),
        "table products is locked by LOCK TABLE",
    ),
    "delete all": (sql("DELETE FROM products"), EMPTIED),
    "delete all outside of a transaction": (block("DELETE FROM products"), EMPTIED),
    "truncate": (sql("TRUNCATE products"), "do without TRUNCATE"),
    "vacuum full": (block("VACUUM FULL products"), "do without TRUNCATE, CLUSTER and VACUUM FULL"),
    "refresh": (block("REFRESH MATERIALIZED VIEW prices"), "REFRESH it CONCURRENTLY"),
}
GOOD = {
    "backfill of its own": sql("UPDATE products SET description = '' WHERE description = ' '"),
    "backfill outside of a transaction": COLUMN + block(FILL),
    "new table with rows": NEW_TABLE,
    "new table with rows, and a column": COLUMN + NEW_TABLE.replace(', sa.ForeignKey("makers.id")', ""),
    "new table from an old one": sql("CREATE TABLE copies AS SELECT * FROM products"),
    "a row for an old table": COLUMN + sql("INSERT INTO makers VALUES (1, 'one')"),
    "some rows deleted": sql("DELETE FROM products WHERE price = 0"),
    "check that is validated later": COLUMN + sql(HEAVY) + "\n" + block(VALIDATE),
    "patience for what nobody waits for": (
        COLUMN + sql(HEAVY) + "\n" + block("SET lock_timeout = '60s'", VALIDATE, CONCURRENTLY)
    ),
    "a lower limit": sql("SET lock_timeout = '100ms'") + f"\n{COLUMN}",
}


@pytest.fixture
def check(postgres, tmp_path):
    """Check the project's migrations with two more, of which the last is the one in question."""
    return partial(checked, postgres, tmp_path, PREPARE)


@pytest.mark.parametrize("kind", BAD)
def test_bad(check, kind):
    """A step that keeps users waiting is refused, with a sentence that says at which table."""
    body, sentence = BAD[kind]
    problems = check(body).problems
    assert any(problem.startswith("added2.py: ") and sentence in problem for problem in problems), problems


def test_bad_as_a_contract_step(check):
    """The same step passes when its module says `contract = True`."""
    report = check(BAD["backfill behind an ALTER"][0], contract=True)
    assert report == ([], ["added2.py: a contract step, not checked"])


@pytest.mark.parametrize("kind", GOOD)
def test_good(check, kind):
    """A step that lets users work passes."""
    assert check(GOOD[kind]) == ([], [])
