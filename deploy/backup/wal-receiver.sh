#!/usr/bin/env bash
# Usage: wal-receiver.sh
# Receives WAL while Postgres writes it, so that a restore reaches any second. On a nearly full disk it stops; Postgres
# then retains the WAL, up to max_slot_wal_keep_size.
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

slot=archive
poll_interval=5 # seconds

main() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  local reason logged=''
  while true; do
    receive 2>/tmp/reason
    reason=$(tail -n 2 /tmp/reason)
    set_status wal "${reason:=the stream ended}"
    [[ $reason == "$logged" ]] || log ERROR "$reason" # once, not every second
    logged=$reason
    sleep 1 &
    wait $!
  done
}

receive() { # until the stream ends or the disk is nearly full; prints the reason
  local folder receiver lag
  (require_free_space 32) || return
  folder=$(lineage) || return
  folder=$backups/$folder/wal
  pg_receivewal --slot "$slot" --create-slot --if-not-exists || return
  set_aside_gap "$folder" || return
  mkdir -p "$folder"
  # synchronous_standby_names matches application_name
  pg_receivewal --dbname "application_name=archive keepalives_idle=20 keepalives_interval=5 keepalives_count=3" \
    --directory "$folder" --slot "$slot" --synchronous --no-loop --status-interval 2 &
  receiver=$!
  while kill -0 "$receiver" 2>/dev/null; do
    (require_free_space 16) || break
    lag=$(sql --command "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)
      FROM pg_stat_replication WHERE application_name = 'archive'")
    # Being a segment behind is not a success: a restore would not reach that WAL.
    [[ -z $lag ]] || ((lag > 16777216)) || set_status wal '' "lag_bytes=$lag" "lineage=$(basename "${folder%/wal}")"
    sleep "$poll_interval" &
    wait -n "$receiver" $!
  done
  kill "$receiver" 2>/dev/null
  wait "$receiver"
}

set_aside_gap() { # FOLDER: moves the lineage aside if Postgres no longer has the WAL that follows it
  local last next kept
  kept=$(sql --command "SELECT wal_status, pg_walfile_name(restart_lsn) FROM pg_replication_slots
    WHERE slot_name = '$slot'") || return
  last=$(find "$1" -name '????????????????????????*' -printf '%f\n' 2>/dev/null | sort | tail -n 1)
  next=$last
  [[ $last == *.partial || -z $last ]] || next=$(next_segment "$last")
  if [[ ${kept%%|*} != lost ]]; then
    [[ -n $last ]] || return 0
    [[ -z ${kept#*|} || ${kept#*|} > ${next%.partial} ]] || return 0
  fi
  if [[ -d $1 ]]; then
    log ERROR "WAL after ${last:-the start} was not received, and Postgres has removed it: a new full backup is needed"
    mv "${1%/wal}" "${1%/wal}.until-$(date +%s)" || return
  fi
  if [[ ${kept%%|*} == lost ]]; then
    pg_receivewal --slot "$slot" --drop-slot && pg_receivewal --slot "$slot" --create-slot
  fi
}

next_segment() { # SEGMENT (16 MiB)
  local number=$((16#${1:8:8} * 256 + 16#${1:16:8} + 1))
  printf '%s%08X%08X' "${1:0:8}" $((number / 256)) $((number % 256))
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
