#!/usr/bin/env bash
# Usage: list.sh. Prints what there is to restore from, oldest first, a line of JSON for each backup and for each stream of WAL.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

main() {
  local folder
  for folder in "$backups"/dumps/2* "$backups"/[0-9]*-[0-9]*/base/2*; do
    [[ ! -r $folder/about ]] || backup "$folder"
  done
  for folder in "$backups"/[0-9]*-[0-9]*/wal; do
    [[ ! -d $folder ]] || stream "$folder"
  done
}

backup() { # FOLDER
  local lineage=${1#"$backups/"}
  printf '{"kind": "%s", "name": "%s", "lineage": "%s", "started": %d, "ended": %d, "megabytes": %d, "parent": "%s", "first": "%s"}\n' \
    "${1##*-}" "$(basename "$1")" "${lineage%%/*}" "$(about "$1" started)" "$(about "$1" ended)" "$(about "$1" megabytes)" \
    "$(about "$1" parent)" "$(about "$1" first)"
}

stream() { # FOLDER: until when it was received; of the one that goes on, what stream.sh has last seen
  local until lineage
  lineage=$(basename "${1%/wal}")
  until=$(find "$1" -type f -printf '%Ts\n' | sort -n | tail -n 1)
  [[ $(state wal lineage) != "$lineage" ]] || (($(state wal succeeded) < ${until:-0})) || until=$(state wal succeeded)
  printf '{"kind": "wal", "lineage": "%s", "until": %d, "megabytes": %d}\n' "$lineage" "${until:-0}" "$(megabytes "$1")"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
