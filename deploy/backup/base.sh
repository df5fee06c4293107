#!/usr/bin/env bash
# Usage: base.sh. Takes a base backup into NUMBER-TIMELINE/base/NAME: of what has changed since the last one, or of everything
# where there is none, or the last of everything is a week old. With the WAL received since, a restore reaches any second.
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

week=$((7 * 86400 - 3600)) # the hour is for a backup that began a little later than today's

main() {
  local found folder parent
  found=$(lineage) || exit
  folder=$backups/$found/base
  mkdir -p "$folder"
  rm -rf "$folder"/.2*
  parent=$(parent_in "$folder")
  if [[ -n $parent ]]; then
    take "$folder" incremental "$parent" && return
    log WARNING 'an incremental backup could not be taken, so a full one is'
    rm -rf "$folder"/.2*
  fi
  take "$folder" full '' || exit
}

parent_in() { # FOLDER: the newest backup, if what it rests on is not too old
  local newest full name
  newest=$(newest "$1")
  full=$newest
  while name=$(about "$1/$full" parent) && [[ -n $name ]]; do full=$name; done
  [[ -n $full && -r $1/$full/about && -r $1/$newest/data/backup_manifest ]] || return
  (($(date +%s) - $(about "$1/$full" started) > week)) || echo "$newest"
}

take() { # FOLDER KIND PARENT
  local new started options=()
  started=$(date +%s)
  new=$1/.$(date --utc +%Y%m%dT%H%M%SZ)-$2
  [[ -z $3 ]] || options=(--incremental "$1/$3/data/backup_manifest")
  [[ -n $3 ]] || (refuse_full_disk "$(($(sql --command 'SELECT sum(pg_database_size(oid)) FROM pg_database') / 1048576))") || return
  mkdir "$new" || return
  with_room pg_basebackup --pgdata "$new/data" --wal-method stream --checkpoint fast "${options[@]}" || return
  pg_verifybackup --quiet "$new/data" || return
  {
    printf '%s\n' "started=$started" "ended=$(date +%s)" "parent=$3" "megabytes=$(megabytes "$new/data")"
    sed -n 's/.*"Timeline": \([0-9]*\), "Start-LSN": "\([^"]*\)", "End-LSN": "\([^"]*\)".*/timeline=\1\nfirst=\2\nlast=\3/p' \
      "$new/data/backup_manifest"
  } >"$new/about"
  grep -q '^first=' "$new/about" || { echo "no WAL range in $new/data/backup_manifest" >&2; return 1; }
  put "$new" && basename "$new" | cut -c 2-
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
