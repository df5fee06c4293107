#!/bin/sh
# Usage: offsite.sh          for ever: copies the backups to RESTIC_REPOSITORY every OFFSITE_SECONDS, encrypted, each piece once
#        offsite.sh now      once
#        offsite.sh check    the health check: fails when something is wrong
#        offsite.sh fetch    brings the newest copy back, beside what is here, and prints what was in it: lineages, and dumps
# It is sh, because restic's image has no bash. https://restic.readthedocs.io
# shellcheck disable=SC3043 # `local` is known to every sh that is used here
set -u
here=${0%/*}
backups=${BACKUPS:-/backups}
. "$here/status.sh"
umask 077

main() {
  [ -n "${RESTIC_REPOSITORY:-}" ] || stop 'RESTIC_REPOSITORY is empty. Say in .env where the copies go, as restic has it.'
  export RESTIC_PASSWORD_FILE=/run/secrets/restic_password RESTIC_CACHE_DIR=/tmp/cache
  set -a
  # shellcheck source=/dev/null
  . /run/secrets/restic_environment
  set +a
  case ${1:-} in
    '') for_ever ;;
    now) run ;;
    check) [ -z "$(fault offsite)" ] || stop "$(fault offsite)" ;;
    fetch) fetch ;;
    *) stop "offsite.sh: $1 is not known" ;;
  esac
}

stop() { # MESSAGE
  echo "$1" >&2
  exit 1
}

for_ever() {
  # All of the container are told, and restic is waited for: what it has locked it gives back, or no copy would be made for half an hour.
  trap 'trap "" TERM INT; kill -TERM 0; wait; exit 0' TERM INT
  while :; do
    (trap 'exit 0' TERM && run) & # which ends when restic has, and writes nothing down
    wait $!
    sleep "${OFFSITE_SECONDS:-3600}" &
    wait $!
  done
}

run() { # alone, and writes down how it went
  local began
  exec 9>/tmp/running
  flock 9
  began=$(date +%s)
  tidied=$(state offsite tidied)
  if copy >/tmp/said 2>/tmp/error; then
    note offsite '' "name=$(sed -n 's/^snapshot \([0-9a-f]*\) saved$/\1/p' /tmp/said)" \
      "seconds=$(($(date +%s) - began))" "tidied=$tidied"
    log INFO "offsite: $(state offsite name) in $(state offsite seconds) s"
    state offsite name
  else
    note offsite "$(explain $?)"
    log ERROR "offsite: $(state offsite error)"
    return 1
  fi
}

copy() { # and once a day takes old copies away, and reads a twentieth of all to see whether it is well
  hold
  open_repository || return
  restic unlock || return # what a killed one has left, when it is half an hour old
  refuse_anothers || return
  restic backup --no-scan --host backups --exclude '.*' "$backups" || return
  [ "$tidied" != "$(date -u +%Y-%m-%d)" ] || return 0
  restic forget --host backups --keep-within "${OFFSITE_DAYS:-30}d" --keep-last 3 --prune || return
  restic check --read-data-subset 5% || return
  tidied=$(date -u +%Y-%m-%d)
}

hold() { # what is being read is not pruned
  [ -r "$backups/.reading" ] || return 0
  exec 8<"$backups/.reading"
  flock -s 8
}

open_repository() { # made, if it is not there
  local code
  timeout 30 restic cat config >/dev/null # by itself it tries for a quarter of an hour
  code=$?
  [ $code -eq 10 ] || return $code
  restic init
}

refuse_anothers() { # copies, of a database that is not here: a machine that replaces another one would push them out
  local there each
  there=$(restic ls latest --host backups "$backups" 2>/dev/null | grep -E '/[0-9]+-[0-9]+$') || return 0
  for each in "$backups"/[0-9]*-[0-9]*; do
    case "$there" in *"/${each##*/}"*) return 0 ;; esac
  done
  echo 'RESTIC_REPOSITORY has copies of another database than the one here. If this machine takes its place:' \
    'python3 -m ops restore --offsite. If not, give another RESTIC_REPOSITORY.' >&2
  return 1
}

explain() { # EXIT-CODE: https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes
  case $1 in
    12) echo 'secrets/restic_password does not open RESTIC_REPOSITORY. Put the password there that it was made with.' ;;
    124 | 143) echo 'RESTIC_REPOSITORY did not answer within 30 s.' ;;
    *) tail -n 3 /tmp/error ;;
  esac
}

fetch() { # first all of it under a name that begins with a dot; then each whole piece that is not here already
  local code folder each
  rm -rf "$backups/.offsite"
  restic restore "latest:$backups" --host backups --target "$backups/.offsite" >/tmp/said 2>/tmp/error
  code=$?
  [ $code -eq 0 ] || stop "$(explain $code)"
  (cd "$backups/.offsite" && ls -d dumps/2* [0-9]*-[0-9]* 2>/dev/null)
  for each in "$backups"/.offsite/dumps/2* "$backups"/.offsite/[0-9]*-[0-9]*/base/2* "$backups"/.offsite/[0-9]*-[0-9]*/wal/*; do
    folder=$backups/${each#"$backups/.offsite/"}
    [ -e "$each" ] && [ ! -e "$folder" ] && [ ! -e "${folder%.partial}" ] || continue
    mkdir -p "${folder%/*}"
    mv "$each" "$folder"
  done
  rm -rf "$backups/.offsite"
}

main "$@"
