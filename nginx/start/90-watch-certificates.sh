#!/bin/sh
# Usage: run by nginx' image before nginx starts (/docker-entrypoint.d).
# Lets nginx take up a certificate that has changed, within seconds and without a restart. Inside this container, because
# whoever could tell nginx to from another one would need the Docker socket, which is root on the machine.
set -eu

EVERY=5 # seconds

pair() { # what nginx is given, in a word
  cat /etc/nginx/certificates/live/*.pem 2>/dev/null | cksum
}

take_up() {
  nginx -c /etc/nginx/edge/production.conf -t -q && nginx -c /etc/nginx/edge/production.conf -s reload
}

watch() {
  known=$(pair)
  while sleep "$EVERY"; do
    now=$(pair)
    [ "$now" != "$known" ] || continue
    if take_up; then echo "watch-certificates: nginx takes up a new certificate"; else
      echo "watch-certificates: nginx refuses the certificate in certificates/live and goes on with the one it has" >&2
    fi
    known=$now
  done
}

watch </dev/null &
