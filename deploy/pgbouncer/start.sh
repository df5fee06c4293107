#!/usr/bin/env bash
# Usage: start.sh, the pgbouncer service's command
# Renders pgbouncer.ini with this server's settings and starts PgBouncer.
set -euo pipefail
umask 077

# shellcheck disable=SC2034 # pgbouncer.ini uses the variables
main() {
  local pool=${PGBOUNCER_POOL:-20} clients=${PGBOUNCER_CLIENTS:-1000} timeout=${DB_TIMEOUT:-1.25} ms
  require_integer PGBOUNCER_POOL "$pool" 1 1000
  require_integer PGBOUNCER_CLIENTS "$clients" 10 10000
  [[ $timeout =~ ^[0-9]+(\.[0-9]+)?$ ]] || refuse DB_TIMEOUT "$timeout" 'Use seconds, such as 1.25'
  ms=$(printf '%.0f' "${timeout}e3")
  printf '"app" "%s"\n' "$(sed 's/"/""/g' /run/secrets/app_password)" >/tmp/users.txt
  eval "cat <<TEXT
$(<"${BASH_SOURCE[0]%/*}/pgbouncer.ini")
TEXT" >/tmp/pgbouncer.ini
  exec pgbouncer /tmp/pgbouncer.ini
}

require_integer() { # NAME VALUE MIN MAX
  if [[ ! $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 < $3 || $2 > $4)); then
    refuse "$1" "$2" "Use an integer from $3 to $4"
  fi
}

refuse() { # NAME VALUE REMEDY
  echo "$1: '$2' is invalid. $3." >&2
  exit 1
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
