#!/bin/sh
# Usage: run by the nginx image before nginx starts (/docker-entrypoint.d).
# Reloads nginx within seconds after the certificate changed. It runs inside this container: reloading from another one would
# need the Docker socket, which is root on the host.
set -eu

INTERVAL_S=5
HEARTBEAT=/tmp/watching # the health check checks its age

checksum() {
  cat /etc/nginx/certificates/live/*.pem 2>/dev/null | cksum
}

reload() {
  nginx -c /etc/nginx/edge/production.conf -t -q && nginx -c /etc/nginx/edge/production.conf -s reload
}

watch() {
  loaded=$(checksum)
  rejected=
  while touch "$HEARTBEAT" && sleep "$INTERVAL_S"; do
    current=$(checksum)
    [ "$current" != "$loaded" ] || continue
    if reload 2>/tmp/rejected; then
      echo "watch-certificates: nginx loaded a new certificate"
      loaded=$current
    elif [ "$current" != "$rejected" ]; then # retried every time, logged once
      echo "watch-certificates: nginx keeps its certificate and rejects the one in certificates/live:" >&2
      cat /tmp/rejected >&2
      rejected=$current
    fi
  done
}

touch "$HEARTBEAT"
watch </dev/null &
