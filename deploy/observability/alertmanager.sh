#!/bin/sh
# Usage: the alertmanager service's command. Puts the site's name into the configuration and starts Alertmanager. An empty
# secrets/webhook_url or secrets/heartbeat_url disables its receiver, with a warning. In sh, because the image has no bash.
set -eu

main() {
  set -- -e "s/SITE:/$SITE:/"
  [ -s /run/secrets/webhook_url ] || set -- "$@" "$(disable operators 'alerts are not sent: secrets/webhook_url is empty')"
  [ -s /run/secrets/heartbeat_url ] || set -- "$@" "$(disable heartbeat 'no heartbeat is sent: secrets/heartbeat_url is empty')"
  sed "$@" /etc/observability/alertmanager.yml >/tmp/alertmanager.yml
  exec /bin/alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address= \
    --log.format=json
}

disable() { # RECEIVER WARNING: prints the sed option that routes the receiver's alerts to none
  printf '{"time": "%s", "level": "WARNING", "logger": "alertmanager", "message": "%s"}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$2" >&2
  echo "-es/receiver: $1\$/receiver: none/"
}

main
