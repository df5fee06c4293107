#!/usr/bin/env bash
# Usage: roles.sh, in the db container
# Creates missing roles and sets each role's password, privileges and limits. Runs on the first start
# (/docker-entrypoint-initdb.d), in each deploy and after a restore. Least privilege: a compromised application can
# neither drop a table nor run a program.
set -euo pipefail

main() {
  export PGPASSWORD="${PGPASSWORD:-$(secret postgres_password)}"
  export PGOPTIONS='-c synchronous_commit=local' # the WAL receiver may need these roles first
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
SET password_encryption = 'scram-sha-256';
SET client_min_messages = warning;
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['app_owner', 'app', 'app_backup', 'app_monitor']) AS name
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
SELECT 'CREATE DATABASE app' WHERE 'app' NOT IN (SELECT datname FROM pg_database) \gexec
ALTER ROLE postgres PASSWORD $(sql_literal postgres_password);

-- Owns the schema and runs migrations, which set their own limits. Ends forgotten sessions and lock waits.
ALTER ROLE app_owner PASSWORD $(sql_literal owner_password);
ALTER ROLE app_owner SET lock_timeout = '3s';
ALTER ROLE app_owner SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE app_owner SET idle_session_timeout = '1h';
ALTER DATABASE app OWNER TO app_owner;

-- The application: reads and writes rows. It sets tighter limits itself (DB_TIMEOUT); these apply to other clients. No
-- idle_session_timeout, because a pool keeps idle connections.
ALTER ROLE app PASSWORD $(sql_literal app_password);
ALTER ROLE app SET statement_timeout = '15s';
ALTER ROLE app SET lock_timeout = '5s';
ALTER ROLE app SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE app RESET default_transaction_read_only; -- read_only.sh

-- Backups: reads everything, including by replication. No statement_timeout, because a dump may take hours; a lock_timeout,
-- because later lock requests queue behind a waiting one.
ALTER ROLE app_backup REPLICATION BYPASSRLS PASSWORD $(sql_literal backup_password);
ALTER ROLE app_backup SET lock_timeout = '10s';
ALTER ROLE app_backup SET default_transaction_read_only = on;
GRANT pg_read_all_data, pg_read_all_stats TO app_backup;

-- Monitoring: server statistics, no rows.
ALTER ROLE app_monitor CONNECTION LIMIT 5 PASSWORD $(sql_literal monitor_password);
ALTER ROLE app_monitor SET statement_timeout = '5s';
ALTER ROLE app_monitor SET lock_timeout = '1s';
ALTER ROLE app_monitor SET idle_session_timeout = '10min';
ALTER ROLE app_monitor SET default_transaction_read_only = on;
GRANT pg_monitor TO app_monitor;

GRANT pg_use_reserved_connections TO app_owner, app_backup, app_monitor;
REVOKE ALL ON DATABASE app FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app, app_backup, app_monitor;
\connect app
ALTER SCHEMA public OWNER TO app_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO app;
SQL
  # Requires the superuser inside the database.
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname app <<SQL
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS monitor;
GRANT USAGE ON SCHEMA monitor TO app_monitor;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA monitor;
GRANT SELECT ON pg_authid TO app_backup; -- for pg_dumpall; REPLICATION can read it anyway
SQL
}

secret() { # NAME
  local text
  text=$(<"/run/secrets/$1")
  echo "$text"
}

sql_literal() { # NAME
  local text
  text=$(secret "$1")
  printf "'%s'" "${text//\'/\'\'}"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
