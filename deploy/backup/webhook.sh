#!/usr/bin/env bash
# Usage: webhook.sh
# Posts {"text": "…"} to the URL in secrets/webhook_url when a job fails or is late, and when it recovers; retries
# failed posts. Slack, Mattermost and Zulip accept this format.
set -uo pipefail
status=${STATUS:-/status}
# shellcheck source=deploy/backup/status.sh
. "${BASH_SOURCE[0]%/*}/status.sh"

main() {
  local job problem state
  trap 'exit 0' TERM INT
  while true; do
    for job in wal base dump drill offsite; do
      problem=$(find_problem "$job")
      state=${problem:+since $(get_status "$job" failing_since)} # the text of an error may change while it lasts
      [[ $state == "$(cat "/tmp/posted-$job" 2>/dev/null)" ]] || post "$job" "$problem" "$state"
    done
    sleep "${WEBHOOK_SECONDS:-60}" &
    wait $!
  done
}

post() { # JOB PROBLEM STATE
  local text="$SITE: $1 has recovered"
  [[ -z $2 ]] || text="$SITE: $1: $2"
  printf '{"text": "%s"}' "$(sanitize "$text")" |
    curl --fail --silent --show-error --output /dev/null --max-time 10 \
      --header 'Content-Type: application/json' --data @- \
      --config <(printf 'url = "%s"\n' "$(</run/secrets/webhook_url)") 2>/tmp/error || {
    log ERROR "webhook: $(</tmp/error)"
    return
  }
  printf '%s' "$3" >"/tmp/posted-$1"
}

main "$@"
