# shellcheck shell=sh disable=SC3043 # every sh in use here supports `local`
# The status of each job, for people, ops and Prometheus: one file per job, one NAME=VALUE per line. POSIX sh, because
# restic's image has no bash.

status=${STATUS:-/status}

log() { # LEVEL MESSAGE
  printf '{"time": "%s", "level": "%s", "logger": "backup", "message": "%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(sanitize "$2")" >&2
}

sanitize() { # TEXT: one line that needs no quoting in JSON
  printf '%s' "$1" | tr -s '[:space:]' ' ' | tr -d '\000-\037"\134' | cut -c 1-600
}

get_status() { # JOB [NAME]: one value, or all of them
  [ ! -r "$status/$1" ] || sed -n "s/^${2:+$2=}//p" "$status/$1"
}

set_status() { # JOB ERROR [NAME=VALUE...]: an empty error means success
  local job="$1" error="$2" now before since
  shift 2
  now=$(date +%s)
  before=$(get_status "$job" | grep -vE '^(checked|error|failing_since)=' || true)
  since=$(get_status "$job" failing_since)
  {
    echo "checked=$now"
    if [ -n "$error" ]; then
      printf 'error=%s\nfailing_since=%s\n%s\n' "$(sanitize "$error")" "${since:-$now}" "$before"
    else
      printf '%s\n' "succeeded=$now" "$@"
    fi
  } >"$status/.$job"
  chmod 0644 "$status/.$job"
  mv "$status/.$job" "$status/$job"
}

find_problem() { # JOB: its error, or that it is late
  local last allowed
  if [ -n "$(get_status "$1" error)" ]; then
    get_status "$1" error
    return
  fi
  case $1 in # seconds, as in ops/data/backups.py
    wal) allowed=120 ;;
    drill) allowed=1296000 ;;
    *) allowed=93600 ;;
  esac
  last=$(get_status "$1" succeeded)
  case $1 in # the first drill runs on a Sunday, and off-site copies are optional
    drill | offsite) last=${last:-$(date +%s)} ;;
  esac
  [ "$((${last:-0} + allowed))" -gt "$(date +%s)" ] || echo "it has not succeeded for $((allowed / 60)) minutes"
}
