#!/usr/bin/env bash
# Usage: webhook.sh, for ever. Posts {"text": "…"} to the address in secrets/webhook_url when a job begins to fail or is late, and when
# it is well again; what could not be posted is tried again. Slack, Mattermost, Zulip and others take that form.
set -uo pipefail
status=${STATUS:-/status}
# shellcheck source=deploy/backup/status.sh
. "${BASH_SOURCE[0]%/*}/status.sh"

main() {
  local job fault now
  trap 'exit 0' TERM INT
  while true; do
    for job in wal base dump drill offsite; do
      fault=$(fault "$job")
      now=${fault:+since $(state "$job" failing_since)} # the words may change all the time
      [[ $now == "$(cat "/tmp/told-$job" 2>/dev/null)" ]] || tell "$job" "$fault" "$now"
    done
    sleep "${WEBHOOK_SECONDS:-60}" &
    wait $!
  done
}

tell() { # JOB FAULT STATE
  local text="$SITE: $1 is well again"
  [[ -z $2 ]] || text="$SITE: $1: $2"
  printf '{"text": "%s"}' "$(plain "$text")" |
    curl --fail --silent --show-error --output /dev/null --max-time 10 --header 'Content-Type: application/json' --data @- \
      --config <(printf 'url = "%s"\n' "$(</run/secrets/webhook_url)") 2>/tmp/error || {
    log ERROR "webhook: $(</tmp/error)"
    return
  }
  printf '%s' "$3" >"/tmp/told-$1"
}

main "$@"
