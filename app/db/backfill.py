"""Backfill a column of a large table from a migration, in small transactions that leave room for users."""

from typing import Any

BATCH_ROWS = 1000  # a user who changes one of these rows waits for the whole batch
TIMEOUT_HOURS = 1  # for the whole backfill; ops ends a migration that takes longer
# Each batch is a transaction and finds its rows by the key alone, whatever the statistics suggest. A pause as long as
# the batch leaves half of the database's capacity to users.
LOOP = """
DO $$
DECLARE
    done bigint;
    upto bigint;
    started timestamptz;
BEGIN
    SELECT min({key}) - 1 INTO done FROM {table};
    LOOP
        started := clock_timestamp();
        SELECT max({key}) INTO upto
            FROM (SELECT {key} FROM {table} WHERE {key} > done ORDER BY {key} LIMIT {rows}) AS batch;
        EXIT WHEN upto IS NULL;
        UPDATE {table} SET {values} WHERE ({missing}) AND {key} > done AND {key} <= upto;
        COMMIT;
        done := upto;
        PERFORM pg_sleep(extract(epoch FROM clock_timestamp() - started));
    END LOOP;
END $$"""


def update_in_batches(op: Any, table: str, values: str, missing: str, *, key: str = "id") -> None:
    """Run `UPDATE table SET values WHERE missing` in batches by an integer KEY; a second call resumes an aborted one.

    The migration must do nothing else. It may miss rows that the serving release inserts meanwhile, so deploy it after
    a release that writes the column.
    """
    if op.get_context().dialect.name != "postgresql":
        op.execute(f"UPDATE {table} SET {values} WHERE {missing}")  # noqa: S608 - a migration is SQL
        return
    with op.get_context().autocommit_block():
        op.execute(f"SET statement_timeout = '{TIMEOUT_HOURS}h'")
        op.execute(LOOP.format(table=table, values=values, missing=missing, key=key, rows=BATCH_ROWS))
