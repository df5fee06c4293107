#!/bin/sh
# Usage: run by nginx' image before nginx starts (/docker-entrypoint.d).
# Tells nginx the names in TRUSTED_HOSTS; who asks for another one gets no certificate and no answer. A name that begins with
# a dot means the same to nginx and to the application: itself and all below it.
set -eu

main() {
  names=$(echo "$TRUSTED_HOSTS" | tr ',' ' ')
  case $names in
    *[!A-Za-z0-9.\ -]*)
      echo "TRUSTED_HOSTS: '$TRUSTED_HOSTS' has more than names and commas in it. Give shop.example,www.shop.example" >&2
      exit 1
      ;;
  esac
  mkdir -p /tmp/settings
  echo "server_name $names;" >/tmp/settings/names.conf
}

main
