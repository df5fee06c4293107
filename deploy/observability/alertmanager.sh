#!/bin/sh
# Usage: the alertmanager service's command. Starts Alertmanager with the site's name in what it says; what there is no address
# for (secrets/webhook_url, secrets/heartbeat_url) is told nobody, and the log says so. In sh, because its image has no bash.
set -eu

main() {
  set -- -e "s/SITE:/$SITE:/"
  [ -s /run/secrets/webhook_url ] || set -- "$@" "$(nobody operators 'alerts are told nobody: secrets/webhook_url is empty')"
  [ -s /run/secrets/heartbeat_url ] || set -- "$@" "$(nobody heartbeat 'nobody expects a heartbeat: secrets/heartbeat_url is empty')"
  sed "$@" /etc/observability/alertmanager.yml >/tmp/alertmanager.yml
  exec /bin/alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address= \
    --log.format=json
}

nobody() { # RECEIVER MESSAGE: what sed is told so that a route leads nowhere
  printf '{"time": "%s", "level": "WARNING", "logger": "alertmanager", "message": "%s"}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$2" >&2
  echo "-es/receiver: $1\$/receiver: nobody/"
}

main
