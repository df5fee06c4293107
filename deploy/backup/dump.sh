#!/usr/bin/env bash
# Usage: dump.sh
# Dumps the database, the roles and a fingerprint, all of one snapshot, into dumps/NAME. Custom format: pg_restore reads
# it with several processes and extracts single tables.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local folder started
  started=$(date +%s)
  mkdir -p "$backups/dumps"
  rm -rf "$backups"/dumps/.2*
  require_free_space "$(($(sql --command 'SELECT pg_database_size(current_database())') / 2097152))" # compressed: half
  folder=$backups/dumps/.$(date --utc +%Y%m%dT%H%M%SZ)-dump
  mkdir "$folder"
  export_snapshot
  with_free_space pg_dump --format custom --compress zstd --snapshot "$snapshot" --lock-wait-timeout 60s \
    --file "$folder/app.dump"
  pg_dumpall --database app --roles-only --file "$folder/roles.sql"
  sql --command 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' --command "SET TRANSACTION SNAPSHOT '$snapshot'" \
    --file "$here/fingerprint.sql" >"$folder/fingerprint"
  with_free_space pg_restore --file /dev/null "$folder/app.dump" # it is readable to its end
  (cd "$folder" && sha256sum app.dump roles.sql fingerprint >SHA256SUMS)
  printf '%s\n' "started=$started" "ended=$(date +%s)" "megabytes=$(mebibytes "$folder")" >"$folder/metadata"
  publish "$folder"
  basename "$folder" | cut -c 2-
}

export_snapshot() { # the transaction that holds the snapshot ends with this script
  coproc session { sql; }
  echo 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();' >&"${session[1]}"
  read -r -t 30 -u "${session[0]}" snapshot || die 'Postgres exported no snapshot within 30 s.'
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
