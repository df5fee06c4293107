#!/usr/bin/env bash
# Usage: read_only.sh on|off, beside Postgres. Lets the application read and write nothing, or write again, from this moment on:
# sessions that began under the other rule end, and a write under way with them, unanswered.
set -euo pipefail

main() {
  local rule
  case ${1:-} in
    on) rule='SET default_transaction_read_only = on' ;;
    off) rule='RESET default_transaction_read_only' ;;
    *) echo 'read_only.sh: give on or off' >&2 && exit 1 ;;
  esac
  export PGOPTIONS='-c synchronous_commit=local' # nobody may receive the stream just now
  PGPASSWORD=$(</run/secrets/postgres_password) psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname app \
    --command "ALTER ROLE app $rule" \
    --command "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'app'" --output /dev/null
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
