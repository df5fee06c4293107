#!/bin/sh
# Usage: take-up.sh FOLDER
# Fills in the templates of the configuration in FOLDER, by this container's settings, and lets nginx read it all. What nginx
# refuses leaves the settings as they were; what it accepts it takes up with the next reload.
set -eu

fill_in() {
  # shellcheck disable=SC1091 # it lies beside this file
  . "$1/start/10-settings.envsh"
  # all three, for a container that was made before there were templates
  NGINX_ENVSUBST_TEMPLATE_DIR="$1/templates" NGINX_ENVSUBST_OUTPUT_DIR=/tmp NGINX_ENVSUBST_FILTER=^EDGE_ \
    /docker-entrypoint.d/20-envsubst-on-templates.sh
}

main() {
  rm -rf /tmp/settings.before
  cp -R /tmp/settings /tmp/settings.before
  if (fill_in "$1") && nginx -c "$1/production.conf" -t; then
    return
  fi
  cp -R /tmp/settings.before/. /tmp/settings/
  return 1
}

main "$1"
