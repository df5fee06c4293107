#!/usr/bin/env bash
# Usage: drill.sh        for ever: a drill every Sunday at DRILL_TIME (UTC)
#        drill.sh now    one drill
# Restores the newest base backup into a folder of its own, up to a moment of the live database that it has looked at, and
# compares the two, row by row; then the newest dump, with what was noted when it was made. Then it throws both away.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"
export PGDATA=/var/lib/postgresql/drill

main() {
  case ${1:-} in
    now) run ;;
    try) drill ;;
    '') for_ever ;;
    *) die "drill.sh: $1 is not known" ;;
  esac
}

for_ever() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  is_time DRILL_TIME "${DRILL_TIME:=04:30}"
  while true; do
    ! is_due || (run) || true
    sleep 60 &
    wait $!
  done
}

is_due() { # not since last Sunday; what failed is tried again after six hours
  local last sunday
  [[ -z $(state drill error) ]] || (($(date +%s) - $(state drill checked) > 21600)) || return 1
  sunday=$(($(date --utc --date "$DRILL_TIME" +%s) - $(date --utc +%w) * 86400))
  ((sunday <= $(date +%s))) || sunday=$((sunday - 604800))
  last=$(state drill succeeded)
  ((${last:-$(oldest)} < sunday))
}

oldest() { # when the first backup was begun; without one a drill is not due
  local first
  first=$(find "$backups/dumps" -mindepth 1 -maxdepth 1 -name '2*' 2>/dev/null | sort | head -n 1)
  first=$(about "${first:-none}" started)
  echo "${first:-$(date +%s)}"
}

run() { # alone, and writes down how it went
  local began=$SECONDS said error
  exec 9>"$backups/.drill"
  flock --nonblock 9 || die 'A drill is under way.'
  trap 'rm -rf "$PGDATA"' EXIT
  if said=$(bash "$here/drill.sh" try 2>/tmp/error); then # a process of its own: within an if, errors would not end it
    note drill '' "seconds=$((SECONDS - began))" "compared=$said"
    log INFO "drill: $said in $((SECONDS - began)) s"
    echo "$said"
  else
    error=$(tail -n 4 /tmp/error)
    note drill "${error:-ended without a word}"
    log ERROR "drill: $error"
    return 1
  fi
}

drill() { # prints what was compared
  local lineage base dump at
  exec 8>"$backups/.reading"
  flock --shared 8
  lineage=$(lineage)
  base=$(newest "$backups/$lineage/base")
  dump=$(newest "$backups/dumps")
  [[ -n $base && -n $dump ]] || die 'There is no backup yet: python3 -m ops backup'
  at=$(look_at_live)
  await_received "$at"
  restore "$lineage/base/$base" "lsn=$at" /tmp/live
  restore "dumps/$dump" latest ''
  echo "$base and what followed, up to $at, is the live database: $(grep -c '^rows of' /tmp/live) tables with $(rows) rows; $dump is what was dumped"
}

look_at_live() { # writes its fingerprint down, of a moment without a write, and prints where in the WAL that is
  local at _
  for _ in $(seq 1200); do
    at=$(sql --file "$here/moment.sql" --set "fingerprint=$here/fingerprint.sql" --set output=/tmp/live)
    [[ -z $at ]] || break
    sleep 0.05
  done
  [[ -n $at ]] || die 'For a minute the live database had no moment without a write. Let the drill come at a quieter time (DRILL_TIME).'
  echo "$at"
}

await_received() { # LSN: writes something behind it, so that recovery finds an end there, and waits for the stream
  local _
  sql --command "SELECT pg_logical_emit_message(false, 'drill', '', true)" >/dev/null
  for _ in $(seq 600); do
    [[ $(sql --command "SELECT flush_lsn > '$1' FROM pg_stat_replication WHERE application_name = 'archive'") != t ]] || return 0
    sleep 0.1
  done
  die 'The stream of WAL did not come within a minute: what does the service wal say?'
}

restore() { # WHAT TARGET FINGERPRINT
  local step
  rm -rf "$PGDATA"
  for step in verify lay-out recover; do bash "$here/restore.sh" "$step" "$1" "$2" >&2; done
  [[ -z $3 ]] || bash "$here/restore.sh" compare "$1" "$3" >&2
  bash "$here/restore.sh" check "$1" >&2
}

rows() { sed -n 's/^rows of [^|]*|\([0-9]*\)|.*/\1/p' /tmp/live | paste --serial --delimiters + | { read -r sum; echo $((sum)); }; }

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
