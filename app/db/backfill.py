"""Filling a column of a large table from a migration, a few rows at a time, so that users hardly notice."""

from typing import Any

ROWS = 1000  # in a batch; who wants to change one of them waits for the rest
HOURS = 1  # for all of it; ops gives a migration no longer
# Each batch is a transaction, and is found by the key alone, whatever the statistics say. A pause as long as the batch
# took leaves half of what the database can do to the users.
LOOP = """
DO $$
DECLARE
    done bigint;
    upto bigint;
    begun timestamptz;
BEGIN
    SELECT min({key}) - 1 INTO done FROM {table};
    LOOP
        begun := clock_timestamp();
        SELECT max({key}) INTO upto
            FROM (SELECT {key} FROM {table} WHERE {key} > done ORDER BY {key} LIMIT {rows}) AS batch;
        EXIT WHEN upto IS NULL;
        UPDATE {table} SET {values} WHERE ({missing}) AND {key} > done AND {key} <= upto;
        COMMIT;
        done := upto;
        PERFORM pg_sleep(extract(epoch FROM clock_timestamp() - begun));
    END LOOP;
END $$"""


def in_batches(op: Any, table: str, values: str, missing: str, *, key: str = "id") -> None:
    """Run `UPDATE table SET values WHERE missing`, by a KEY of whole numbers; called again, it does what is left.

    A migration does this and nothing else. What the release that serves inserts meanwhile may be missed, so it comes
    after a release that writes the column.
    """
    if op.get_context().dialect.name != "postgresql":
        op.execute(f"UPDATE {table} SET {values} WHERE {missing}")  # noqa: S608 - a migration is SQL
        return
    with op.get_context().autocommit_block():
        op.execute(f"SET statement_timeout = '{HOURS}h'")
        op.execute(LOOP.format(table=table, values=values, missing=missing, key=key, rows=ROWS))
