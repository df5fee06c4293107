#!/bin/sh
# Usage: take-up.sh FOLDER
# Lets nginx read the configuration in FOLDER, with its templates filled in by this container's settings, beside all that nginx
# runs with; what it refuses changes nothing. Of the folder that nginx runs with (/etc/nginx/edge) the settings then become the
# ones that it finds at the next reload.
set -eu

RUNS=/etc/nginx/edge
TRY=/tmp/try

fill_in() {
  # shellcheck disable=SC1091 # it lies beside this file
  . "$1/start/10-settings.envsh"
  NGINX_ENVSUBST_TEMPLATE_DIR="$1/templates" NGINX_ENVSUBST_OUTPUT_DIR="$TRY" /docker-entrypoint.d/20-envsubst-on-templates.sh
}

try_out() { # of a copy, in which the settings are those of the copy
  cp -R "$1/snippets" "$1/production.conf" "$TRY"
  find "$TRY" -name '*.conf' -exec sed -i "s#/tmp/settings/#$TRY/settings/#" {} +
  nginx -c "$TRY/production.conf" -t
}

main() {
  exec 9>/tmp/take-up.lock # one that was begun before, by an ops that was told to stop, comes to its end first
  flock --timeout 20 9
  [ -d /tmp/settings ] || mv /tmp/settings.old /tmp/settings # it was killed between the two moves below
  rm -rf "$TRY" /tmp/settings.old /tmp/settings.new
  mkdir "$TRY"
  (fill_in "$1") || return 1
  cp -R "$TRY/settings" /tmp/settings.new
  try_out "$1" || return 1
  if [ "$1" = "$RUNS" ]; then
    mv /tmp/settings /tmp/settings.old
    mv /tmp/settings.new /tmp/settings
  fi
  rm -rf "$TRY" /tmp/settings.old /tmp/settings.new
}

main "$1"
