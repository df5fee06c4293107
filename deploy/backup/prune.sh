#!/usr/bin/env bash
# Usage: prune.sh. Takes away what no restore needs any more: base backups and WAL that only lead to times before the last
# BACKUP_DAYS days, lineages that ended before them, and dumps older than DUMP_DAYS, but for the newest three.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local serving folder limit
  exec 8>"$backups/.reading"
  flock --nonblock 8 || return 0 # a restore may be reading what is old; the next time will do
  rm -rf "$backups"/.2-* # of a prune that was killed
  serving=$(lineage)
  limit=$(($(date +%s) - ${BACKUP_DAYS:-7} * 86400))
  for folder in "$backups"/[0-9]*-[0-9]*; do
    [[ -d $folder ]] || continue
    if [[ $(basename "$folder") != "$serving" ]] && (($(written "$folder") < limit)); then
      remove "$folder"
    else
      prune_lineage "$folder" "$limit"
    fi
  done
  find "$backups" -maxdepth 1 -name '.segments.*' -mtime +0 -exec rm -rf {} + # of what was killed while it looked at WAL
  prune_dumps "$(($(date +%s) - ${DUMP_DAYS:-30} * 86400))"
}

written() { # FOLDER: when its WAL was last written to
  find "$1" -type f -printf '%Ts\n' | sort -n | tail -n 1 | grep . || stat --format %Y "$1"
}

prune_lineage() { # FOLDER LIMIT: keeps the newest full backup that had ended at the limit, and what comes after it
  local names name kept='' first
  mapfile -t names < <(find "$1/base" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' 2>/dev/null | sort)
  for name in "${names[@]}"; do
    [[ -n $(about "$1/base/$name" parent) ]] || (($(about "$1/base/$name" ended) > $2)) || kept=$name
  done
  [[ -n $kept ]] || return 0
  for name in "${names[@]}"; do
    [[ ! $name < $kept ]] || remove "$1/base/$name"
  done
  first=$(segment_of "$(about "$1/base/$kept" timeline)" "$(about "$1/base/$kept" first)")
  pg_archivecleanup "$1/wal" "$first"
}

prune_dumps() { # LIMIT
  local name
  [[ -d $backups/dumps ]] || return 0
  find "$backups/dumps" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort | head -n -3 | while read -r name; do
    (($(about "$backups/dumps/$name" ended) > $1)) || remove "$backups/dumps/$name"
  done
}

remove() { # FOLDER: at once, so that what is half gone is not taken for whole
  local gone
  gone=${1%/*}/.2-$(basename "$1")
  mv "$1" "$gone"
  rm -rf "$gone"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
