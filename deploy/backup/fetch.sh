#!/usr/bin/env bash
# Usage: fetch.sh LINEAGE-FOLDER NAME TARGET. Postgres' restore_command: a segment of the lineage's WAL, the one that was being
# received when the stream ended included. Histories come from every timeline, so that no two get the same number.
set -euo pipefail

main() {
  local found each number=${1##*/}
  case $2 in
    *.history) found=$(compgen -G "${1%/*}/${number%%-*}-*/wal/$2" | head -n 1) ;;
    *) found=$1/wal/$2 ;;
  esac
  for each in "$found" "$found.partial" "$found"; do # it may get its name between two looks
    [[ ! -r $each ]] || exec cp "$each" "$3"
  done
  exit 1
}

main "$@"
