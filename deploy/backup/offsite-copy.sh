#!/bin/sh
# Usage: offsite-copy.sh          copy the backups to RESTIC_REPOSITORY every OFFSITE_SECONDS, encrypted and
# deduplicated
#        offsite-copy.sh now      copy once
#        offsite-copy.sh check    health check: fail if the copies failed or are late
#        offsite-copy.sh fetch    restore the newest copy next to the local backups; print its lineages and dumps
# POSIX sh, because restic's image has no bash. https://restic.readthedocs.io
# shellcheck disable=SC3043 # every sh in use here supports `local`
set -u
here=${0%/*}
backups=${BACKUPS:-/backups}
. "$here/status.sh"
umask 077

main() {
  [ -n "${RESTIC_REPOSITORY:-}" ] || die 'RESTIC_REPOSITORY is empty. Set it in .env to a restic repository.'
  export RESTIC_PASSWORD_FILE=/run/secrets/restic_password RESTIC_CACHE_DIR=/tmp/cache
  set -a
  # shellcheck source=/dev/null
  . /run/secrets/restic_environment
  set +a
  case ${1:-} in
    '') run_forever ;;
    now) run ;;
    check) [ -z "$(find_problem offsite)" ] || die "$(find_problem offsite)" ;;
    fetch) fetch ;;
    *) die "offsite-copy.sh: unknown command $1" ;;
  esac
}

die() { # MESSAGE
  echo "$1" >&2
  exit 1
}

run_forever() {
  # Signal the process group and wait for restic to release its lock: a stale one blocks copies for half an hour.
  trap 'trap "" TERM INT; kill -TERM 0; wait; exit 0' TERM INT
  while :; do
    (trap 'exit 0' TERM && run) & # ends after restic does, without recording a failure
    wait $!
    sleep "${OFFSITE_SECONDS:-3600}" &
    wait $!
  done
}

run() { # exclusively
  local began
  exec 9>/tmp/running
  flock 9
  began=$(date +%s)
  pruned_on=$(get_status offsite pruned_on)
  if copy >/tmp/output 2>/tmp/error; then
    set_status offsite '' "name=$(sed -n 's/^snapshot \([0-9a-f]*\) saved$/\1/p' /tmp/output)" \
      "seconds=$(($(date +%s) - began))" "pruned_on=$pruned_on"
    log INFO "offsite: $(get_status offsite name) in $(get_status offsite seconds) s"
    get_status offsite name
  else
    set_status offsite "$(explain $?)"
    log ERROR "offsite: $(get_status offsite error)"
    return 1
  fi
}

copy() { # once a day also removes old copies, and verifies a twentieth of the repository
  lock_backups
  open_repository || return
  restic unlock || return # removes locks that a killed restic left half an hour ago
  refuse_foreign_repository || return
  restic backup --no-scan --host backups --exclude '.*' "$backups" || return
  [ "$pruned_on" != "$(date -u +%Y-%m-%d)" ] || return 0
  restic forget --host backups --keep-within "${OFFSITE_DAYS:-30}d" --keep-last 3 --prune || return
  restic check --read-data-subset 5% || return
  pruned_on=$(date -u +%Y-%m-%d)
}

lock_backups() { # against prune.sh
  [ -r "$backups/.reading" ] || return 0
  exec 8<"$backups/.reading"
  flock -s 8
}

open_repository() { # creates a missing one
  local code
  timeout 30 restic cat config >/dev/null # without a timeout it retries for a quarter of an hour
  code=$?
  [ $code -eq 10 ] || return $code
  restic init
}

refuse_foreign_repository() { # with copies of another database: a replacement machine would push them out
  local copied each
  copied=$(restic ls latest --host backups "$backups" 2>/dev/null | grep -E '/[0-9]+-[0-9]+$') || return 0
  for each in "$backups"/[0-9]*-[0-9]*; do
    case "$copied" in *"/${each##*/}"*) return 0 ;; esac
  done
  echo 'RESTIC_REPOSITORY has copies of another database. If this machine replaces the other one:' \
    'python3 -m ops restore --offsite. If not, set another RESTIC_REPOSITORY.' >&2
  return 1
}

explain() { # EXIT-CODE: https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes
  case $1 in
    12) echo 'secrets/restic_password is not the password of RESTIC_REPOSITORY. Write the original password there.' ;;
    124 | 143) echo 'RESTIC_REPOSITORY did not respond within 30 s.' ;;
    *) tail -n 3 /tmp/error ;;
  esac
}

fetch() { # into a hidden folder first; then moves each complete item that is missing here
  local code target each
  rm -rf "$backups/.offsite"
  restic restore "latest:$backups" --host backups --target "$backups/.offsite" >/tmp/output 2>/tmp/error
  code=$?
  [ $code -eq 0 ] || die "$(explain $code)"
  cd "$backups/.offsite" || die "The copy has no $backups."
  ls -d dumps/2* [0-9]*-[0-9]* 2>/dev/null
  for each in dumps/2* [0-9]*-[0-9]*/base/2* [0-9]*-[0-9]*/wal/*; do
    target=$backups/$each
    [ -e "$each" ] && [ ! -e "$target" ] && [ ! -e "${target%.partial}" ] || continue
    mkdir -p "${target%/*}"
    mv "$each" "$target"
  done
  rm -rf "$backups/.offsite"
}

main "$@"
