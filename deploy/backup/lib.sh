# shellcheck shell=bash disable=SC2034 # the scripts that source this file use its variables
# Paths, SQL and disk checks that the backup scripts share.
# Each lineage (a database system and a Postgres timeline) has a folder, SYSTEM_ID-TIMELINE/{base,wal}; dumps/ has the dumps. A
# backup in progress has a name that starts with a dot; `publish` renames it once it is complete and on disk.

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

sql() { # PSQL-OPTION...
  psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"
}

lineage() { # SYSTEM_ID-TIMELINE of the live database
  local found
  found=$(sql --field-separator - --dbname 'dbname=app replication=true' --command IDENTIFY_SYSTEM) || return 1
  cut -d - -f 1,2 <<<"$found"
}

require_free_space() { # MEBIBYTES: about to be written
  local free
  free=$(df --output=avail --block-size=1M "$backups" | tail -n 1)
  ((free >= ${BACKUP_FREE:-3072} + $1)) ||
    die "The backup disk has $((free)) MiB free; $1 are needed, and BACKUP_FREE=${BACKUP_FREE:-3072} must stay free."
}

with_free_space() { # COMMAND...: stops it before the disk is full, because the database may share that disk
  local worker
  "$@" &
  worker=$!
  while kill -0 "$worker" 2>/dev/null; do
    (require_free_space 0) || {
      kill "$worker"
      wait "$worker" || true
      return 1
    }
    sleep 1 &
    wait -n "$worker" $! || true
  done
  wait "$worker"
}

metadata() { # FOLDER NAME
  [[ ! -r $1/metadata ]] || sed -n "s/^$2=//p" "$1/metadata"
}

publish() { # FOLDER: removes the leading dot of its name, once its files are on disk
  sync --file-system "$1"
  mv --no-target-directory "$1" "${1%/*}/$(basename "$1" | cut -c 2-)"
  sync "${1%/*}"
}

newest() { # FOLDER
  find "$1" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' 2>/dev/null | sort | tail -n 1
}

require_time() { # NAME VALUE
  [[ $2 =~ ^([01][0-9]|2[0-3]):[0-5][0-9]$ ]] || die "$1: '$2' is invalid. Use hours and minutes, such as 02:30."
}

segment_of() { # TIMELINE LSN: the name of the WAL segment (16 MiB)
  printf '%08X%08X%08X' "$1" "$((16#${2%/*}))" "$((16#${2#*/} >> 24))"
}

mebibytes() { du --summarize --block-size=1M "$1" | cut -f 1; }
