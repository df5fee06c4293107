#!/usr/bin/env bash
# Usage: restore-command.sh LINEAGE-FOLDER NAME TARGET
# Postgres's restore_command: copies a WAL segment of the lineage, including the partial one at the end of the stream.
# Timeline histories come from every lineage of the database, so that no timeline is used twice.
set -euo pipefail

main() {
  local found each system_id=${1##*/}
  case $2 in
    *.history) found=$(compgen -G "${1%/*}/${system_id%%-*}-*/wal/$2" | head -n 1) ;;
    *) found=$1/wal/$2 ;;
  esac
  for each in "$found" "$found.partial" "$found"; do # a live stream may complete and rename it in between
    [[ ! -r $each ]] || exec cp "$each" "$3"
  done
  exit 1
}

main "$@"
