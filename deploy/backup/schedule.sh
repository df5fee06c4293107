#!/usr/bin/env bash
# Usage: schedule.sh                   run a dump and a base backup daily at BACKUP_TIME (UTC), and at once if there is
# none
#        schedule.sh now [JOB]         run both jobs, or one, now; print the names of the backups
#        schedule.sh release-locks     end running dumps, whose locks block a migration; start none for ten minutes
#        schedule.sh check JOB...      health check: fail if a job failed or is late
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

retry_after=900 # seconds after a failure

main() {
  case ${1:-} in
    now) run_now "${@:2}" ;;
    check) check "${@:2}" ;;
    release-locks) release_locks ;;
    '') run_forever ;;
    *) die "schedule.sh: unknown command $1" ;;
  esac
}

run_forever() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  require_time BACKUP_TIME "${BACKUP_TIME:=02:30}"
  local job
  while sleep 10; do write_metrics; done & # in the background: a job may take hours
  while true; do
    for job in base dump; do
      if ! is_due "$job"; then
        continue
      elif is_same_database; then
        run "$job" &
        wait $!
      else
        fail "$job" "the live database ($(lineage)) is not the one that was backed up here. To keep it: python3 -m ops \
backup. If it is empty because the other one was lost: python3 -m ops restore"
      fi
    done
    sleep 10 &
    wait $!
  done
}

run_now() {
  local job failed=0
  for job in ${1:-base dump}; do
    if run "$job"; then get_status "$job" name; else failed=1; fi
  done
  write_metrics
  return "$failed"
}

is_due() { # JOB
  local today last
  [[ -z $(get_status "$1" error) ]] || (($(date +%s) - $(get_status "$1" checked) > retry_after)) || return 1
  [[ $1 != dump || $(cat "$status/.dumps-paused-until" 2>/dev/null || echo 0) -lt $(date +%s) ]] || return 1
  has_backup "$1" || return 0
  today=$(date --utc --date "$BACKUP_TIME" +%s)
  ((today <= $(date +%s))) || today=$((today - 86400))
  last=$(get_status "$1" succeeded)
  ((${last:-0} < today))
}

has_backup() { # JOB: of the live lineage; true while Postgres is unavailable, when no backup can start
  local found
  found=$(lineage 2>/dev/null) || return 0
  case $1 in
    base) [[ -n $(newest "$backups/$found/base") ]] ;;
    dump) [[ -n $(newest "$backups/dumps") ]] ;;
  esac
}

is_same_database() { # as the backups': an empty database that replaced it must not push them out
  local live
  live=$(lineage) || return 0
  ! compgen -G "$backups/*-*/base/2*" >/dev/null || compgen -G "$backups/${live%-*}-*/base/2*" >/dev/null
}

fail() { # JOB ERROR
  set_status "$1" "$2"
  log ERROR "$1: $2"
}

run() { # JOB: exclusively
  local name error began=$SECONDS
  exec 9>"$backups/.writing"
  flock 9
  if name=$(bash "$here/$1.sh" 2>/tmp/error-"$1"); then
    set_status "$1" '' "name=$name" "seconds=$((SECONDS - began))"
    log INFO "$1: $name in $((SECONDS - began)) s"
    grep -h '"level"' "/tmp/error-$1" >&2 # the job's own log lines
    bash "$here/prune.sh" 2>/tmp/error-prune || fail "$1" "pruning failed: $(tail -n 1 /tmp/error-prune)"
  else
    error=$(tail -n 4 /tmp/error-"$1")
    fail "$1" "${error:-it failed without a message}"
    return 1
  fi
}

release_locks() {
  date --date '10 minutes' +%s >"$status/.dumps-paused-until"
  sql --command "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = CURRENT_USER AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
}

check() {
  local job problem
  for job in "$@"; do
    problem=$(find_problem "$job")
    [[ -z $problem ]] || die "$job: $problem"
  done
}

write_metrics() { # https://prometheus.io/docs/instrumenting/exposition_formats/
  {
    metric backup_last_success_timestamp_seconds 'When the job last succeeded.' succeeded
    metric backup_failing_since_timestamp_seconds 'Since when the job fails; absent while it succeeds.' failing_since
    metric backup_duration_seconds 'How long the last successful run took.' seconds
    metric backup_wal_lag_bytes 'WAL that Postgres has written and the backups have not received.' lag_bytes
  } >"$status/.backups.prom"
  chmod 0644 "$status/.backups.prom"
  mv "$status/.backups.prom" "$status/backups.prom"
}

metric() { # NAME HELP FIELD: one sample for each job whose status has the field
  local job value
  printf '# HELP %s %s\n# TYPE %s gauge\n' "$1" "$2" "$1"
  for job in wal base dump drill offsite; do
    value=$(get_status "$job" "$3")
    [[ -z $value ]] || printf '%s{job="%s"} %s\n' "$1" "$job" "$value"
  done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
