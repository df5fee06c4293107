#!/usr/bin/env bash
# Usage: start.sh, the db service's command
# Renders postgresql.conf for the container's limits and starts Postgres.
set -euo pipefail

# shellcheck disable=SC2034 # postgresql.conf uses memory, cpus and standby
main() {
  refuse_other_version
  local memory cpus connections=${DB_CONNECTIONS:-100} standby=''
  memory=$(mebibytes)
  cpus=$(processors)
  require_integer DB_CONNECTIONS "$connections" 30 1000
  case ${SYNCHRONOUS_ARCHIVE:-off} in
    on) standby=archive ;;
    off) ;;
    *) refuse SYNCHRONOUS_ARCHIVE "$SYNCHRONOUS_ARCHIVE" 'Use on or off' ;;
  esac
  eval "cat <<TEXT
$(<"${BASH_SOURCE[0]%/*}/postgresql.conf")
TEXT" >/tmp/postgresql.conf
  echo "Settings for $memory MiB, $cpus processors and $connections connections: /tmp/postgresql.conf"
  exec docker-entrypoint.sh postgres -c config_file=/tmp/postgresql.conf "$@"
}

refuse_other_version() { # in the volume: Postgres would create an empty database next to it
  local each
  for each in "${PGDATA%/*/*}"/*/*/PG_VERSION; do
    [[ ! -e $each || $each == "$PGDATA/PG_VERSION" || -e $PGDATA/PG_VERSION ]] || {
      echo "The volume has a database of Postgres $(<"$each"), not $PG_MAJOR. To upgrade: python3 -m ops upgrade" >&2
      exit 1
    }
  done
}

mebibytes() { # the container's memory limit, or the machine's memory
  local limit='' file
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [[ ! -r $file ]] || limit=$(<"$file")
  done
  local total=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1048576 < total)) && total=$((limit / 1048576))
  echo "$total"
}

processors() { # the container's CPU limit, rounded up, or the machine's processors
  local quota='' period='' total
  total=$(nproc)
  [[ ! -r /sys/fs/cgroup/cpu.max ]] || read -r quota period </sys/fs/cgroup/cpu.max
  [[ $quota =~ ^[0-9]+$ ]] && (((quota + period - 1) / period < total)) && total=$(((quota + period - 1) / period))
  echo "$total"
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
