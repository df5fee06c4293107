#!/usr/bin/env bash
# Usage: read_only.sh on|off, in the db container
# Makes the application's role read-only, or writable again, at once: ends its sessions, with any write in progress.
set -euo pipefail

main() {
  local setting
  case ${1:-} in
    on) setting='SET default_transaction_read_only = on' ;;
    off) setting='RESET default_transaction_read_only' ;;
    *) echo 'Usage: read_only.sh on|off' >&2 && exit 1 ;;
  esac
  export PGOPTIONS='-c synchronous_commit=local' # the WAL receiver may be stopped
  PGPASSWORD=$(</run/secrets/postgres_password) psql \
    --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname app --output /dev/null \
    --command "ALTER ROLE app $setting" \
    --command "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'app'"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
