#!/usr/bin/env bash
# Usage: run by the postgres image, once, when its volume is still empty (/docker-entrypoint-initdb.d).
# Two roles besides the superuser: one owns the schema and migrates, one is the application and may only read and write
# rows. A hole in the application then cannot drop a table or run a program on the server.
set -euo pipefail

password() { # NAME: as a literal of SQL
  local text
  text=$(<"/run/secrets/$1")
  printf "'%s'" "${text//\'/\'\'}"
}

main() {
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
SET password_encryption = 'scram-sha-256';
CREATE ROLE app_owner LOGIN PASSWORD $(password owner_password);
CREATE ROLE app LOGIN PASSWORD $(password app_password);
ALTER ROLE app SET idle_in_transaction_session_timeout = '30s';
CREATE DATABASE app OWNER app_owner;
REVOKE ALL ON DATABASE app FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app;
\connect app
ALTER SCHEMA public OWNER TO app_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO app;
SQL
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
