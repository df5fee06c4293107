#!/usr/bin/env bash
# Usage: base.sh
# Takes a base backup into SYSTEM_ID-TIMELINE/base/NAME: incremental, or full if there is none or the last full one is a
# week old. With the WAL received since then, a restore reaches any second.
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

week=$((7 * 86400 - 3600)) # less an hour, for a backup that started later than today's

main() {
  local found folder parent
  found=$(lineage) || exit
  folder=$backups/$found/base
  mkdir -p "$folder"
  rm -rf "$folder"/.2*
  parent=$(find_parent "$folder")
  if [[ -n $parent ]]; then
    take_backup "$folder" incremental "$parent" && return
    log WARNING 'the incremental backup failed; taking a full one'
    rm -rf "$folder"/.2*
  fi
  take_backup "$folder" full '' || exit
}

find_parent() { # FOLDER: the newest backup, unless its full backup is too old
  local newest full name
  newest=$(newest "$1")
  full=$newest
  while name=$(metadata "$1/$full" parent) && [[ -n $name ]]; do full=$name; done
  [[ -n $full && -r $1/$full/metadata && -r $1/$newest/data/backup_manifest ]] || return
  (($(date +%s) - $(metadata "$1/$full" started) > week)) || echo "$newest"
}

take_backup() { # FOLDER KIND PARENT
  local new started size options=()
  started=$(date +%s)
  new=$1/.$(date --utc +%Y%m%dT%H%M%SZ)-$2
  if [[ -n $3 ]]; then
    options=(--incremental "$1/$3/data/backup_manifest")
  else
    size=$(sql --command 'SELECT sum(pg_database_size(oid)) / 1048576 FROM pg_database') || return
    (require_free_space "${size%.*}") || return
  fi
  mkdir "$new" || return
  with_free_space pg_basebackup --pgdata "$new/data" --wal-method stream --checkpoint fast "${options[@]}" || return
  pg_verifybackup --quiet "$new/data" || return
  {
    printf '%s\n' "started=$started" "ended=$(date +%s)" "parent=$3" "megabytes=$(mebibytes "$new/data")"
    sed -nE \
      's/.*"Timeline": ([0-9]+), "Start-LSN": "([^"]+)", "End-LSN": "([^"]+)".*/timeline=\1\nfirst=\2\nlast=\3/p' \
      "$new/data/backup_manifest"
  } >"$new/metadata"
  grep -q '^first=' "$new/metadata" || { echo "$new/data/backup_manifest has no WAL range" >&2; return 1; }
  publish "$new" && basename "$new" | cut -c 2-
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
