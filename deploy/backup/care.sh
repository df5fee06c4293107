#!/usr/bin/env bash
# Usage: care.sh                for ever: a dump and a base backup every day at BACKUP_TIME (UTC), and at once what there is none of yet
#        care.sh now [JOB]      both, or one of them, now; prints their names
#        care.sh give-way       end what reads tables now: a migration wants their locks, and a dump can be made again
#        care.sh check JOB...   the health check: fails when something is wrong with a job, or it is late
set -uo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"

retry=900 # seconds until a job that failed is tried again

main() {
  case ${1:-} in
    now) now "${@:2}" ;;
    check) check "${@:2}" ;;
    give-way) give_way ;;
    '') for_ever ;;
    *) die "care.sh: $1 is not known" ;;
  esac
}

for_ever() {
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM INT
  is_time BACKUP_TIME "${BACKUP_TIME:=02:30}"
  local job
  while sleep 10; do metrics; done & # beside the jobs, which may take hours
  while true; do
    for job in base dump; do
      if ! is_due "$job"; then
        continue
      elif is_the_same; then
        run "$job" &
        wait $!
      else
        fail "$job" "$(lineage) serves, another database than the one whose backups are here. If it is to be kept from now \
on: python3 -m ops backup. If it began empty because the other one was lost: python3 -m ops restore"
      fi
    done
    sleep 10 &
    wait $!
  done
}

now() {
  local job failed=0
  for job in ${1:-base dump}; do
    if run "$job"; then state "$job" name; else failed=1; fi
  done
  metrics
  return "$failed"
}

is_due() { # JOB
  local today last
  [[ -z $(state "$1" error) ]] || (($(date +%s) - $(state "$1" checked) > retry)) || return 1
  [[ $1 != dump || $(cat "$status/.give-way" 2>/dev/null || echo 0) -lt $(date +%s) ]] || return 1
  has_any "$1" || return 0
  today=$(date --utc --date "$BACKUP_TIME" +%s)
  ((today <= $(date +%s))) || today=$((today - 86400))
  last=$(state "$1" succeeded)
  ((${last:-0} < today))
}

has_any() { # JOB: is there one, of the lineage that serves; where Postgres is away it is no time for a backup either
  local found
  found=$(lineage 2>/dev/null) || return 0
  case $1 in
    base) [[ -n $(newest "$backups/$found/base") ]] ;;
    dump) [[ -n $(newest "$backups/dumps") ]] ;;
  esac
}

is_the_same() { # as the one that the backups are of: an empty one that took its place must not push them out
  local serving
  serving=$(lineage) || return 0
  ! compgen -G "$backups/*-*/base/2*" >/dev/null || compgen -G "$backups/${serving%-*}-*/base/2*" >/dev/null
}

fail() { # JOB ERROR
  note "$1" "$2"
  log ERROR "$1: $2"
}

run() { # JOB: alone, and writes down how it went
  local name error began=$SECONDS
  exec 9>"$backups/.writing"
  flock 9
  if name=$(bash "$here/$1.sh" 2>/tmp/error-"$1"); then
    note "$1" '' "name=$name" "seconds=$((SECONDS - began))"
    log INFO "$1: $name in $((SECONDS - began)) s"
    grep -h '"level"' "/tmp/error-$1" >&2 # what it had to say, though it succeeded
    bash "$here/prune.sh" 2>/tmp/error-prune || fail "$1" "what is old could not be taken away: $(tail -n 1 /tmp/error-prune)"
  else
    error=$(tail -n 4 /tmp/error-"$1")
    fail "$1" "${error:-ended without a word}"
    return 1
  fi
}

give_way() { # and for ten minutes no dump is begun
  date --date '10 minutes' +%s >"$status/.give-way"
  sql --command "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = CURRENT_USER AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
}

check() {
  local job error
  for job in "$@"; do
    error=$(fault "$job")
    [[ -z $error ]] || die "$job: $error"
  done
}

metrics() { # for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/
  {
    family backup_last_success_timestamp_seconds 'When a job last succeeded.' succeeded
    family backup_failing_since_timestamp_seconds 'Since when a job fails; there is no line while it does not.' failing_since
    family backup_duration_seconds 'How long it took the last time that it succeeded.' seconds
    family backup_wal_lag_bytes 'WAL that Postgres has written and the backups do not have yet.' behind
  } >"$status/.backups.prom"
  chmod 0644 "$status/.backups.prom"
  mv "$status/.backups.prom" "$status/backups.prom"
}

family() { # NAME MEANING VALUE: a line for each job that has written the value down
  local job found
  printf '# HELP %s %s\n# TYPE %s gauge\n' "$1" "$2" "$1"
  for job in wal base dump drill offsite; do
    found=$(state "$job" "$3")
    [[ -z $found ]] || printf '%s{job="%s"} %s\n' "$1" "$job" "$found"
  done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
