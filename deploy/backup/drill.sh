#!/usr/bin/env bash
# Usage: drill.sh        run a drill every Sunday at DRILL_TIME (UTC)
#        drill.sh now    run one drill
# Restores the newest base backup into a scratch folder, up to a quiet position of the live database, and compares the
# two row by row. Then restores the newest dump and compares it with the dump's fingerprint. Removes both.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"
export PGDATA=/var/lib/postgresql/drill

main() {
  case ${1:-} in
    now) run ;;
    run-once) drill ;;
    '') run_forever ;;
    *) die "drill.sh: unknown command $1" ;;
  esac
}

run_forever() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  require_time DRILL_TIME "${DRILL_TIME:=04:30}"
  while true; do
    ! is_due || (run) || true
    sleep 60 &
    wait $!
  done
}

is_due() { # none has succeeded since last Sunday; retry after six hours
  local last sunday
  [[ -z $(get_status drill error) ]] || (($(date +%s) - $(get_status drill checked) > 21600)) || return 1
  sunday=$(($(date --utc --date "$DRILL_TIME" +%s) - $(date --utc +%w) * 86400))
  ((sunday <= $(date +%s))) || sunday=$((sunday - 604800))
  last=$(get_status drill succeeded)
  ((${last:-$(first_backup)} < sunday))
}

first_backup() { # when the oldest dump started; without one no drill is due
  local first
  first=$(find "$backups/dumps" -mindepth 1 -maxdepth 1 -name '2*' 2>/dev/null | sort | head -n 1)
  first=$(metadata "${first:-none}" started)
  echo "${first:-$(date +%s)}"
}

run() { # exclusively
  local began=$SECONDS result error
  exec 9>"$backups/.drill"
  flock --nonblock 9 || die 'A drill is already running.'
  trap 'rm -rf "$PGDATA"' EXIT
  if result=$(bash "$here/drill.sh" run-once 2>/tmp/error); then # a subprocess, because `if` disables errexit
    set_status drill '' "seconds=$((SECONDS - began))" "compared=$result"
    log INFO "drill: $result in $((SECONDS - began)) s"
    echo "$result"
  else
    error=$(tail -n 4 /tmp/error)
    set_status drill "${error:-it failed without a message}"
    log ERROR "drill: $error"
    return 1
  fi
}

drill() { # prints the result
  local lineage base dump at
  exec 8>"$backups/.reading"
  flock --shared 8
  lineage=$(lineage)
  base=$(newest "$backups/$lineage/base")
  dump=$(newest "$backups/dumps")
  [[ -n $base && -n $dump ]] || die 'There is no backup yet: python3 -m ops backup'
  at=$(fingerprint_live)
  wait_for_wal "$at"
  restore "$lineage/base/$base" "lsn=$at" /tmp/live
  restore "dumps/$dump" latest ''
  echo "$base and its WAL up to $at match the live database: $(count_rows); $dump matches its fingerprint"
}

fingerprint_live() { # of a moment without a write; prints its WAL position
  local at _
  for _ in $(seq 1200); do
    at=$(sql --file "$here/quiet-snapshot.sql" --set "fingerprint=$here/fingerprint.sql" --set output=/tmp/live)
    [[ -z $at ]] || break
    sleep 0.05
  done
  [[ -n $at ]] || die 'The live database had no moment without a write for a minute. Set DRILL_TIME to a quieter time.'
  echo "$at"
}

wait_for_wal() { # LSN: writes a record after it, where recovery can end, and waits until it is received
  local query _
  query="SELECT flush_lsn > '$1' FROM pg_stat_replication WHERE application_name = 'archive'"
  sql --command "SELECT pg_logical_emit_message(false, 'drill', '', true)" >/dev/null
  for _ in $(seq 600); do
    [[ $(sql --command "$query") != t ]] || return 0
    sleep 0.1
  done
  die 'The WAL did not arrive within a minute: python3 -m ops logs wal-receiver'
}

restore() { # WHAT TARGET FINGERPRINT
  local step
  rm -rf "$PGDATA"
  for step in verify unpack recover; do bash "$here/restore.sh" "$step" "$1" "$2" >&2; done
  [[ -z $3 ]] || bash "$here/restore.sh" compare "$1" "$3" >&2
  bash "$here/restore.sh" check "$1" >&2
}

count_rows() {
  awk -F '|' '/^rows of/ { tables++; rows += $2 } END { printf "%d tables, %d rows", tables, rows }' /tmp/live
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
