#!/usr/bin/env bash
# Usage: care.sh                for ever: a dump and a base backup every day at BACKUP_TIME (UTC), and at once what there is none of yet
#        care.sh now            both, now
#        care.sh check JOB...   the health check: fails when something is wrong with a job, or it is late
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

retry=900 # seconds until a job that failed is tried again

main() {
  case ${1:-} in
    now) now ;;
    check) check "${@:2}" ;;
    '') for_ever ;;
    *) die "care.sh: $1 is not known" ;;
  esac
}

for_ever() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  is_time BACKUP_TIME "${BACKUP_TIME:=02:30}"
  local job
  while true; do
    for job in base dump; do
      if is_due "$job"; then
        run "$job" &
        wait $!
      fi
    done
    metrics
    sleep 10 &
    wait $!
  done
}

now() {
  local job failed=0
  for job in base dump; do
    run "$job" || failed=1
  done
  metrics
  return "$failed"
}

is_due() { # JOB
  local today last
  [[ -z $(state "$1" error) ]] || (($(date +%s) - $(state "$1" checked) > retry)) || return 1
  [[ $1 != base ]] || has_base || return 0
  today=$(date --utc --date "$BACKUP_TIME" +%s)
  ((today <= $(date +%s))) || today=$((today - 86400))
  last=$(state "$1" succeeded)
  ((${last:-0} < today))
}

has_base() { # of the lineage that serves; where Postgres is away, it is no time for a backup either
  local found
  found=$(lineage 2>/dev/null) || return 0
  compgen -G "$backups/$found/base/2*" >/dev/null
}

run() { # JOB: alone, and writes down how it went
  local name error began=$SECONDS
  exec 9>"$backups/.writing"
  flock 9
  if name=$(bash "$here/$1.sh" 2>/tmp/error-"$1"); then
    note "$1" '' "name=$name" "seconds=$((SECONDS - began))"
    log INFO "$1: $name in $((SECONDS - began)) s"
    bash "$here/prune.sh" || log ERROR 'what is old could not be taken away'
  else
    error=$(tail -n 4 /tmp/error-"$1")
    note "$1" "${error:-ended without a word}"
    log ERROR "$1: $error"
    return 1
  fi
}

check() {
  local job
  for job in "$@"; do
    [[ -z $(state "$job" error) ]] || die "$job: $(state "$job" error)"
    ! is_late "$job" || die "$job: has not succeeded in time"
  done
}

is_late() { # JOB
  local last
  last=$(state "$1" succeeded)
  case $1 in
    wal) ((${last:-0} + 120 < $(date +%s))) ;;
    drill) [[ -n $last ]] && ((last + 15 * 86400 < $(date +%s))) ;;
    *) ((${last:-0} + 26 * 3600 < $(date +%s))) ;;
  esac
}

metrics() { # for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/
  {
    family backup_last_success_timestamp_seconds 'When a job last succeeded.' succeeded
    family backup_failing_since_timestamp_seconds 'Since when a job fails; there is no line while it does not.' failing_since
    family backup_duration_seconds 'How long it took the last time that it succeeded.' seconds
    family backup_stream_behind_bytes 'WAL that Postgres has written and the backups do not have yet.' behind
  } >"$status/.backups.prom"
  chmod 0644 "$status/.backups.prom"
  mv "$status/.backups.prom" "$status/backups.prom"
}

family() { # NAME MEANING VALUE: a line for each job that has written the value down
  local job found
  printf '# HELP %s %s\n# TYPE %s gauge\n' "$1" "$2" "$1"
  for job in wal base dump drill; do
    found=$(state "$job" "$3")
    [[ -z $found ]] || printf '%s{job="%s"} %s\n' "$1" "$job" "$found"
  done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
