#!/usr/bin/env bash
# Usage: dump.sh. Dumps the database, the roles, and what a restore of it must look like, all of one moment, into dumps/NAME.
# Custom format, because pg_restore reads it with several processes and takes single tables out of it.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local folder started
  started=$(date +%s)
  mkdir -p "$backups/dumps"
  rm -rf "$backups"/dumps/.2*
  refuse_full_disk "$(($(sql --command 'SELECT pg_database_size(current_database())') / 2097152))" # compressed
  folder=$backups/dumps/.$(date --utc +%Y%m%dT%H%M%SZ)-dump
  mkdir "$folder"
  keep_a_moment
  with_room pg_dump --format custom --compress zstd --snapshot "$moment" --lock-wait-timeout 60s \
    --file "$folder/app.dump"
  pg_dumpall --database app --roles-only --file "$folder/roles.sql"
  sql --command 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' --command "SET TRANSACTION SNAPSHOT '$moment'" \
    --file "$here/fingerprint.sql" >"$folder/fingerprint"
  with_room pg_restore --file /dev/null "$folder/app.dump" # it can be read to its end
  (cd "$folder" && sha256sum app.dump roles.sql fingerprint >SHA256SUMS)
  printf '%s\n' "started=$started" "ended=$(date +%s)" "megabytes=$(megabytes "$folder")" >"$folder/about"
  put "$folder"
  basename "$folder" | cut -c 2-
}

keep_a_moment() { # a transaction that stays open, whose snapshot the others take over; it ends with this script
  coproc session { sql; }
  echo 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();' >&"${session[1]}"
  read -r -t 30 -u "${session[0]}" moment || die 'Postgres did not give a snapshot within 30 s.'
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
