#!/bin/sh
# Usage: run by nginx' image before nginx starts (/docker-entrypoint.d).
# Lets nginx take up a certificate that has changed, within seconds and without a restart. Inside this container, because
# whoever could tell nginx to from another one would need the Docker socket, which is root on the machine.
set -eu

EVERY=5 # seconds
BEAT=/tmp/watching # its age tells the health check that somebody watches

pair() { # what nginx is given, in a word
  cat /etc/nginx/certificates/live/*.pem 2>/dev/null | cksum
}

take_up() {
  nginx -c /etc/nginx/edge/production.conf -t -q && nginx -c /etc/nginx/edge/production.conf -s reload
}

watch() {
  taken=$(pair)
  refused=
  while touch "$BEAT" && sleep "$EVERY"; do
    now=$(pair)
    [ "$now" != "$taken" ] || continue
    if take_up 2>/tmp/refused; then
      echo "watch-certificates: nginx takes up a new certificate"
      taken=$now
    elif [ "$now" != "$refused" ]; then # it is tried again each time, and said once
      echo "watch-certificates: nginx goes on with the certificate it has, for it refuses the one in certificates/live:" >&2
      cat /tmp/refused >&2
      refused=$now
    fi
  done
}

touch "$BEAT"
watch </dev/null &
