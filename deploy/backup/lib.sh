# shellcheck shell=bash disable=SC2034 # what is set here is used by those
# What the scripts beside this one share: where things are, how Postgres is asked, and how it is written down how a job went.
# Backups lie in one folder for each lineage (one database on one timeline: NUMBER-TIMELINE/base and …/wal) and in dumps/.
# What is being made has a name that begins with a dot, and gets its own in one step, when it is whole and on the disk.

backups=${BACKUPS:-/backups}
here=${BASH_SOURCE[0]%/*}
source "$here/status.sh"
export PGHOST=${PGHOST:-db} PGUSER=${PGUSER:-app_backup} PGDATABASE=${PGDATABASE:-app} PGCONNECT_TIMEOUT=5 PGTZ=UTC
[[ ! -r /run/secrets/backup_password ]] || PGPASSWORD=$(</run/secrets/backup_password)
export PGPASSWORD=${PGPASSWORD:-}
umask 077

die() { # MESSAGE
  echo "$1" >&2
  exit 1
}

sql() { # PSQL-OPTION...: psql for a machine to read
  psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"
}

lineage() { # the number of the database that serves, and its timeline
  local found
  found=$(sql --field-separator - --dbname 'dbname=app replication=true' --command IDENTIFY_SYSTEM) || return 1
  cut -d - -f 1,2 <<<"$found"
}

refuse_full_disk() { # MEGABYTES: which are about to be written
  local free
  free=$(df --output=avail --block-size=1M "$backups" | tail -n 1)
  ((free >= ${BACKUP_FREE:-3072} + $1)) ||
    die "The backups' disk has $((free)) MiB free. $1 are needed, and BACKUP_FREE=${BACKUP_FREE:-3072} are to stay free."
}

with_room() { # COMMAND...: runs it, and ends it when the disk is about to be full, for it may be the database's too
  local worker
  "$@" &
  worker=$!
  while kill -0 "$worker" 2>/dev/null; do
    (refuse_full_disk 0) || {
      kill "$worker"
      wait "$worker" || true
      return 1
    }
    sleep 1 &
    wait -n "$worker" $! || true
  done
  wait "$worker"
}

about() { # FOLDER NAME: what was written down of a backup
  [[ ! -r $1/about ]] || sed -n "s/^$2=//p" "$1/about"
}

put() { # FOLDER: gives what was made its name, in one step, when all of it is on the disk
  sync --file-system "$1"
  mv --no-target-directory "$1" "${1%/*}/$(basename "$1" | cut -c 2-)"
  sync "${1%/*}"
}

newest() { # FOLDER: the name of the newest backup in it
  find "$1" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' 2>/dev/null | sort | tail -n 1
}

is_time() { # NAME VALUE
  [[ $2 =~ ^([01][0-9]|2[0-3]):[0-5][0-9]$ ]] || die "$1: '$2' cannot be used. Give hours and minutes, such as 02:30."
}

segment_of() { # TIMELINE LSN: the name of the WAL segment, of 16 MiB, that holds a position
  printf '%08X%08X%08X' "$1" "$((16#${2%/*}))" "$((16#${2#*/} >> 24))"
}

megabytes() { du --summarize --block-size=1M "$1" | cut -f 1; }
