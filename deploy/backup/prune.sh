#!/usr/bin/env bash
# Usage: prune.sh
# Removes base backups and WAL that only reach back beyond BACKUP_DAYS days, lineages that ended before then, and dumps
# older than DUMP_DAYS except the newest three.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local live folder limit
  exec 8>"$backups/.reading"
  flock --nonblock 8 || return 0 # a restore may be reading; the next run prunes
  rm -rf "$backups"/.2-* # left by a killed prune
  live=$(lineage)
  limit=$(($(date +%s) - ${BACKUP_DAYS:-7} * 86400))
  for folder in "$backups"/[0-9]*-[0-9]*; do
    [[ -d $folder ]] || continue
    if [[ $(basename "$folder") != "$live" ]] && (($(last_write "$folder") < limit)); then
      remove "$folder"
    else
      prune_lineage "$folder" "$limit"
    fi
  done
  find "$backups" -maxdepth 1 -name '.segments.*' -mtime +0 -exec rm -rf {} + # left by a killed verify-wal.sh
  prune_dumps "$(($(date +%s) - ${DUMP_DAYS:-30} * 86400))"
}

last_write() { # FOLDER
  find "$1" -type f -printf '%Ts\n' | sort -n | tail -n 1 | grep . || stat --format %Y "$1"
}

prune_lineage() { # FOLDER LIMIT: keeps the newest full backup that ended before the limit, and everything after it
  local names name kept='' first
  mapfile -t names < <(find "$1/base" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' 2>/dev/null | sort)
  for name in "${names[@]}"; do
    [[ -n $(metadata "$1/base/$name" parent) ]] || (($(metadata "$1/base/$name" ended) > $2)) || kept=$name
  done
  [[ -n $kept ]] || return 0
  for name in "${names[@]}"; do
    [[ ! $name < $kept ]] || remove "$1/base/$name"
  done
  first=$(segment_of "$(metadata "$1/base/$kept" timeline)" "$(metadata "$1/base/$kept" first)")
  pg_archivecleanup "$1/wal" "$first"
}

prune_dumps() { # LIMIT
  local name
  [[ -d $backups/dumps ]] || return 0
  find "$backups/dumps" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort | head -n -3 | while read -r name; do
    (($(metadata "$backups/dumps/$name" ended) > $1)) || remove "$backups/dumps/$name"
  done
}

remove() { # FOLDER: renames it first, so that a partly removed backup is not listed
  local removed
  removed=${1%/*}/.2-$(basename "$1")
  mv "$1" "$removed"
  rm -rf "$removed"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
