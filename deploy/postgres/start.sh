#!/usr/bin/env bash
# Usage: the db service's command. Fills postgresql.conf in for the container's limits, and starts Postgres with it.
set -euo pipefail

# shellcheck disable=SC2034 # memory, cpus and standby are what postgresql.conf asks for
main() {
  refuse_another_version
  local memory cpus connections=${DB_CONNECTIONS:-100} standby=''
  memory=$(mebibytes)
  cpus=$(processors)
  whole DB_CONNECTIONS "$connections" 30 1000
  case ${SYNCHRONOUS_ARCHIVE:-off} in
    on) standby=archive ;;
    off) ;;
    *) refuse SYNCHRONOUS_ARCHIVE "$SYNCHRONOUS_ARCHIVE" 'Give on or off' ;;
  esac
  eval "cat <<TEXT
$(<"${BASH_SOURCE[0]%/*}/postgresql.conf")
TEXT" >/tmp/postgresql.conf
  echo "Settings for $memory MiB, $cpus processors and $connections connections: /tmp/postgresql.conf"
  exec docker-entrypoint.sh postgres -c config_file=/tmp/postgresql.conf "$@"
}

refuse_another_version() { # in the volume: this one would begin an empty database beside it
  local each
  for each in "${PGDATA%/*/*}"/*/*/PG_VERSION; do
    [[ ! -e $each || $each == "$PGDATA/PG_VERSION" || -e $PGDATA/PG_VERSION ]] || {
      echo "The volume has a database of Postgres $(<"$each"), and this is $PG_MAJOR. See docs/data.md: python3 -m ops upgrade" >&2
      exit 1
    }
  done
}

mebibytes() { # the memory that the container may take; without a limit, the machine's
  local limit='' file
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [[ ! -r $file ]] || limit=$(<"$file")
  done
  local all=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1048576 < all)) && all=$((limit / 1048576))
  echo "$all"
}

processors() { # that the container may use, rounded up
  local quota='' period='' all
  all=$(nproc)
  [[ ! -r /sys/fs/cgroup/cpu.max ]] || read -r quota period </sys/fs/cgroup/cpu.max
  [[ $quota =~ ^[0-9]+$ ]] && (((quota + period - 1) / period < all)) && all=$(((quota + period - 1) / period))
  echo "$all"
}

whole() { # NAME VALUE LEAST MOST
  if [[ ! $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 < $3 || $2 > $4)); then
    refuse "$1" "$2" "Give a whole number from $3 to $4"
  fi
}

refuse() { # NAME VALUE REMEDY
  echo "$1: '$2' cannot be used. $3." >&2
  exit 1
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
