-- Writes a fingerprint of the database to :output and prints where in the WAL it was taken, or prints nothing when something was
-- being written just then. Nothing in the WAL between two looks, and no transaction under way in the snapshot between them:
-- what the snapshot sees is exactly what a recovery up to there brings back.
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
