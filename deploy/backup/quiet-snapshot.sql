-- Writes a fingerprint of the database to :output and prints its WAL position; prints nothing if a write was in
-- progress. The position is exact: the WAL did not grow between its two reads, and the snapshot has no transaction in
-- progress, so a recovery up to that position restores what the snapshot sees.
SELECT pg_current_wal_insert_lsn() AS at \gset
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_snapshot_xmin(snapshot) = pg_snapshot_xmax(snapshot) AND pg_current_wal_insert_lsn() = :'at' AS quiet
FROM pg_current_snapshot() AS snapshot \gset
\if :quiet
\o :output
\i :fingerprint
\o
\echo :at
\endif
COMMIT;
