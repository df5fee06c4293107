#!/usr/bin/env bash
# Usage: stream.sh, for ever: receives Postgres' WAL as it is written, so that a restore can reach any second.
# While the disk is nearly full it does not; the server then keeps what is missing, up to max_slot_wal_keep_size.
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

slot=archive
look=5 # seconds between two looks at the stream

main() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  local reason said=''
  while true; do
    receive 2>/tmp/reason
    reason=$(tail -n 2 /tmp/reason)
    note wal "${reason:=the stream ended}"
    [[ $reason == "$said" ]] || log ERROR "$reason" # once, not every second
    said=$reason
    sleep 1 &
    wait $!
  done
}

receive() { # until it ends, or the disk is nearly full; what it prints says why
  local folder receiver behind
  (refuse_full_disk 32) || return
  folder=$(lineage) || return
  folder=$backups/$folder/wal
  pg_receivewal --slot "$slot" --create-slot --if-not-exists || return
  put_aside_what_has_a_gap "$folder" || return
  mkdir -p "$folder"
  # application_name is what synchronous_standby_names asks for
  pg_receivewal --dbname "application_name=archive keepalives_idle=20 keepalives_interval=5 keepalives_count=3" \
    --directory "$folder" --slot "$slot" --synchronous --no-loop --status-interval 2 &
  receiver=$!
  while kill -0 "$receiver" 2>/dev/null; do
    (refuse_full_disk 16) || break
    behind=$(sql --command "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)
      FROM pg_stat_replication WHERE application_name = 'archive'")
    # What has not come yet is no success: a restore could not reach it.
    [[ -z $behind ]] || ((behind > 16777216)) || note wal '' "behind=$behind" "lineage=$(basename "${folder%/wal}")"
    sleep "$look" &
    wait -n "$receiver" $!
  done
  kill "$receiver" 2>/dev/null
  wait "$receiver"
}

put_aside_what_has_a_gap() { # FOLDER: where the server no longer has what would follow on what lies there
  local last next kept
  kept=$(sql --command "SELECT wal_status, pg_walfile_name(restart_lsn) FROM pg_replication_slots
    WHERE slot_name = '$slot'") || return
  last=$(find "$1" -name '????????????????????????*' -printf '%f\n' 2>/dev/null | sort | tail -n 1)
  next=$last
  [[ $last == *.partial || -z $last ]] || next=$(after "$last")
  if [[ ${kept%%|*} != lost && -z $last ]] || [[ ${kept%%|*} != lost && -n ${kept#*|} && ! ${kept#*|} > ${next%.partial} ]]; then
    return 0
  fi
  if [[ -d $1 ]]; then
    log ERROR "WAL after ${last:-the beginning} was not received, and the server no longer has it: a new full backup is needed"
    mv "${1%/wal}" "${1%/wal}.until-$(date +%s)" || return
  fi
  if [[ ${kept%%|*} == lost ]]; then
    pg_receivewal --slot "$slot" --drop-slot && pg_receivewal --slot "$slot" --create-slot
  fi
}

after() { # SEGMENT: the name of the one that follows, of 16 MiB each
  local number=$((16#${1:8:8} * 256 + 16#${1:16:8} + 1))
  printf '%s%08X%08X' "${1:0:8}" $((number / 256)) $((number % 256))
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
