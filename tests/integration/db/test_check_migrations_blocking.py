"""The migration check refuses steps that block the users of a table, and accepts those that do not."""

import pytest

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


def execute(*statements):
    """Return a migration that runs these statements."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def autocommit(*statements):
    """Return a migration that runs them outside a transaction."""
    return BLOCK + execute(*statements).replace("\n", "\n    ")


WEIGHT = "ALTER TABLE products ADD COLUMN weight bigint"
FILL = "UPDATE products SET weight = 1"
HEAVY = "ALTER TABLE products ADD CONSTRAINT ck_heavy CHECK (weight > 0) NOT VALID"
VALIDATE = "ALTER TABLE products VALIDATE CONSTRAINT ck_heavy"
MAKER = "ALTER TABLE products ADD CONSTRAINT fk_maker FOREIGN KEY (weight) REFERENCES makers"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_products_version ON products (version)"

ROWS = "rows of products are read or changed in a transaction that has locked products, so readers and writers wait"
LOCK_TIMEOUT = "table products is locked after `SET lock_timeout`"
EMPTIED = "table products is emptied by DELETE without WHERE"

BAD = {
    "backfill after an ALTER": (COLUMN + execute(FILL), ROWS),
    "delete after an ALTER": (COLUMN + execute("DELETE FROM products WHERE price = 0"), ROWS),
    "backfill in a DO block": (COLUMN + execute(f"DO $$ BEGIN {FILL}; END $$"), ROWS),
    "backfill in a CTE": (COLUMN + execute(f"WITH done AS ({FILL} RETURNING id) SELECT count(*) FROM done"), ROWS),
    "backfill in one string": (execute(f"{WEIGHT}; {FILL}"), ROWS),
    "backfill from an empty table": (
        COLUMN
        + execute(
            "CREATE TABLE weights AS SELECT 'x' AS sku, 1 AS weight WITH NO DATA",
            "UPDATE products SET weight = weights.weight FROM weights WHERE weights.sku = products.sku",
        ),
        ROWS,
    ),
    "backfill of another table": (
        COLUMN + execute("UPDATE makers SET name = ''"),
        "rows of makers are read or changed",
    ),
    "copy after an ALTER": (COLUMN + execute("CREATE TABLE copies AS SELECT * FROM products"), ROWS),
    "copy after a trigger": (
        execute(
            "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER copy AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION copy()",
            "CREATE TABLE copies AS SELECT * FROM products",
        ),
        "that has locked products, so writers wait",
    ),
    "check validated at once": (COLUMN + execute(f"DO $$ BEGIN {HEAVY}; {VALIDATE}; END $$"), ROWS),
    "foreign key validated at once": (
        COLUMN + execute(f"DO $$ BEGIN {MAKER}; END $$"),
        "rows of products are read or changed in a transaction that has locked makers, products",
    ),
    "two tables in one transaction": (
        COLUMN + 'op.add_column("makers", sa.Column("weight", sa.BigInteger))',
        "table makers is locked while the transaction already blocks readers of products",
    ),
    "no lock timeout": (execute("SET lock_timeout = 0") + f"\n{COLUMN}", LOCK_TIMEOUT),
    "a raised lock timeout": (execute("SET LOCAL lock_timeout = '60s'") + f"\n{COLUMN}", LOCK_TIMEOUT),
    "no lock timeout by a function": (
        execute("SELECT set_config('lock_timeout', '0', true)") + f"\n{COLUMN}",
        LOCK_TIMEOUT,
    ),
    "no lock timeout outside a transaction": (
        autocommit("SET lock_timeout = 0", 'ALTER TABLE "public"."products" ADD COLUMN weight bigint'),
        LOCK_TIMEOUT,
    ),
    "lock table": (execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE"), "table products is locked by LOCK TABLE"),
    "lock against writers": (
        execute("LOCK products IN SHARE ROW EXCLUSIVE MODE"),
        "table products is locked by LOCK TABLE",
    ),
    "delete all": (execute("DELETE FROM products"), EMPTIED),
    "delete all outside a transaction": (autocommit("DELETE FROM products"), EMPTIED),
    "truncate": (execute("TRUNCATE products"), "do not use TRUNCATE"),
    "vacuum full": (autocommit("VACUUM FULL products"), "do not use TRUNCATE, CLUSTER or VACUUM FULL"),
    "refresh": (autocommit("REFRESH MATERIALIZED VIEW prices"), "REFRESH it CONCURRENTLY"),
}
GOOD = {
    "separate backfill": execute("UPDATE products SET description = '' WHERE description = ' '"),
    "backfill outside a transaction": COLUMN + autocommit(FILL),
    "new table with rows": NEW_TABLE,
    "new table with rows, and a column": COLUMN + NEW_TABLE.replace(', sa.ForeignKey("makers.id")', ""),
    "new table from an existing one": execute("CREATE TABLE copies AS SELECT * FROM products"),
    "insert into an existing table": COLUMN + execute("INSERT INTO makers VALUES (1, 'one')"),
    "delete some rows": execute("DELETE FROM products WHERE price = 0"),
    "check validated later": COLUMN + execute(HEAVY) + "\n" + autocommit(VALIDATE),
    "raised lock timeout for statements that block no reader": (
        COLUMN + execute(HEAVY) + "\n" + autocommit("SET lock_timeout = '60s'", VALIDATE, CONCURRENTLY)
    ),
    "a lower lock timeout": execute("SET lock_timeout = '100ms'") + f"\n{COLUMN}",
}


@pytest.fixture(scope="module")
def check(migration_checker):
    """Check a migration on a schema that PREPARE has extended."""
    return migration_checker(PREPARE)


@pytest.mark.parametrize("kind", BAD)
def test_bad(check, kind):
    """A step that blocks users is refused, with the name of the table."""
    body, message = BAD[kind]
    problems = check(body).problems
    assert any(problem.startswith("added2.py: ") and message in problem for problem in problems), problems


def test_bad_as_a_contract_step(check):
    """The same step is accepted when its module sets `contract = True`."""
    report = check(BAD["backfill after an ALTER"][0], contract=True)
    assert report == ([], ["added2.py: contract step, not checked"])


@pytest.mark.parametrize("kind", GOOD)
def test_good(check, kind):
    """A step that does not block users is accepted."""
    assert check(GOOD[kind]) == ([], [])
