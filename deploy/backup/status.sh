# shellcheck shell=sh disable=SC3043 # `local` is known to every sh that is used here
# How a job went, written down for people, for ops and for Prometheus: a file for each job, a line for each value. In the language of
# sh, because restic's image has no bash.

status=${STATUS:-/status}

log() { # LEVEL MESSAGE: a line for the container's log
  printf '{"time": "%s", "level": "%s", "logger": "backup", "message": "%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(plain "$2")" >&2
}

plain() { # TEXT: in one line, with nothing that needs quoting
  printf '%s' "$1" | tr -s '[:space:]' ' ' | tr -d '\000-\037"\134' | cut -c 1-600
}

state() { # JOB [NAME]: what was written down of a job: all of it, or one value
  [ ! -r "$status/$1" ] || sed -n "s/^${2:+$2=}//p" "$status/$1"
}

note() { # JOB ERROR [NAME=VALUE...]: writes down how a job went; an empty error means that it succeeded
  local job="$1" error="$2" now before since
  shift 2
  now=$(date +%s)
  before=$(state "$job" | grep -vE '^(checked|error|failing_since)=' || true)
  since=$(state "$job" failing_since)
  {
    echo "checked=$now"
    if [ -n "$error" ]; then
      printf 'error=%s\nfailing_since=%s\n%s\n' "$(plain "$error")" "${since:-$now}" "$before"
    else
      printf '%s\n' "succeeded=$now" "$@"
    fi
  } >"$status/.$job"
  chmod 0644 "$status/.$job"
  mv "$status/.$job" "$status/$job"
}

fault() { # JOB: what is wrong with it, if anything is: why it fails, or that it has not succeeded for too long
  local last allowed
  if [ -n "$(state "$1" error)" ]; then
    state "$1" error
    return
  fi
  case $1 in # seconds, as in ops/data/backups.py
    wal) allowed=120 ;;
    drill) allowed=1296000 ;;
    *) allowed=93600 ;;
  esac
  last=$(state "$1" succeeded)
  case $1 in # the first drill comes on a Sunday, and copies may be off
    drill | offsite) last=${last:-$(date +%s)} ;;
  esac
  [ "$((${last:-0} + allowed))" -gt "$(date +%s)" ] || echo "it has not succeeded for $((allowed / 60)) minutes"
}
