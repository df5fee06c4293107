#!/bin/sh
# Usage: apply-config.sh FOLDER
# Renders the templates of FOLDER with this container's settings and tests the result with `nginx -t`, in a copy that does not
# affect the running nginx. If FOLDER is the live one (/etc/nginx/edge), the next reload uses the rendered settings.
set -eu

LIVE=/etc/nginx/edge
CANDIDATE=/tmp/candidate

render() {
  # shellcheck disable=SC1091 # it is part of the folder
  . "$1/start/10-settings.envsh"
  NGINX_ENVSUBST_TEMPLATE_DIR="$1/templates" NGINX_ENVSUBST_OUTPUT_DIR="$CANDIDATE" /docker-entrypoint.d/20-envsubst-on-templates.sh
}

check() {
  cp -R "$1/snippets" "$1/production.conf" "$CANDIDATE"
  find "$CANDIDATE" -name '*.conf' -exec sed -i "s#/tmp/settings/#$CANDIDATE/settings/#" {} +
  nginx -c "$CANDIDATE/production.conf" -t
}

main() {
  exec 9>/tmp/apply-config.lock # an earlier run may still be at work after its ops was stopped
  flock --timeout 20 9
  [ -d /tmp/settings ] || mv /tmp/settings.old /tmp/settings # an earlier run was killed between the two moves below
  rm -rf "$CANDIDATE" /tmp/settings.old /tmp/settings.new
  mkdir "$CANDIDATE"
  (render "$1") || return 1
  cp -R "$CANDIDATE/settings" /tmp/settings.new
  check "$1" || return 1
  if [ "$1" = "$LIVE" ]; then
    mv /tmp/settings /tmp/settings.old
    mv /tmp/settings.new /tmp/settings
  fi
  rm -rf "$CANDIDATE" /tmp/settings.old /tmp/settings.new
}

main "$1"
