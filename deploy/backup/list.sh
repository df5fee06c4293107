#!/usr/bin/env bash
# Usage: list.sh
# Prints one line of JSON for each backup, oldest first, and for each lineage's WAL.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local folder
  for folder in "$backups"/dumps/2* "$backups"/[0-9]*-[0-9]*/base/2*; do
    [[ ! -r $folder/metadata ]] || print_backup "$folder"
  done
  for folder in "$backups"/[0-9]*-[0-9]*/wal; do
    [[ ! -d $folder ]] || print_wal "$folder"
  done
}

print_backup() { # FOLDER
  local lineage=${1#"$backups/"}
  printf '{"kind": "%s", "name": "%s", "lineage": "%s", ' "${1##*-}" "$(basename "$1")" "${lineage%%/*}"
  printf '"started": %d, "ended": %d, "megabytes": %d, "parent": "%s"}\n' "$(metadata "$1" started)" \
    "$(metadata "$1" ended)" "$(metadata "$1" megabytes)" "$(metadata "$1" parent)"
}

print_wal() { # FOLDER: received until its last write or, for the live lineage, the receiver's last success
  local until lineage
  lineage=$(basename "${1%/wal}")
  until=$(find "$1" -type f -printf '%Ts\n' | sort -n | tail -n 1)
  [[ $(get_status wal lineage) != "$lineage" ]] || (($(get_status wal succeeded) < ${until:-0})) ||
    until=$(get_status wal succeeded)
  printf '{"kind": "wal", "lineage": "%s", "until": %d, "megabytes": %d}\n' "$lineage" "${until:-0}" "$(mebibytes "$1")"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
