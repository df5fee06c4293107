#!/usr/bin/env bash
# Usage: restore.sh verify|unpack|recover|check WHAT [TARGET]
#        restore.sh compare WHAT FINGERPRINT
# The steps of a restore into $PGDATA. WHAT is dumps/NAME or LINEAGE/base/NAME below the backup folder. TARGET, for a
# base backup: latest, immediate (the end of the backup), a time such as 2026-11-25 10:00:00+00, or lsn=X/Y (exclusive).
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"
source "$here/verify-wal.sh"
export PGHOST=/tmp PGUSER=postgres # a private server

main() {
  local step=$1 what=$2 target=${3:-latest}
  exec 8>"$backups/.reading"
  flock --shared 8
  [[ -r $backups/$what/metadata ]] || die "There is no backup $what."
  [[ $step != unpack || ! -e $PGDATA ]] || die "$PGDATA already exists."
  case $step:$what in
    verify:dumps/*) verify_dump "$backups/$what" ;;
    verify:*) verify_base "$backups/${what%/*}" "${what##*/}" "$target" ;;
    unpack:dumps/*) unpack_dump "$backups/$what" ;;
    unpack:*) unpack_base "$backups/${what%/*}" "${what##*/}" ;;
    recover:dumps/*) ;;
    recover:*) recover "$backups/${what%/*}" "${what##*/}" "$target" ;;
    compare:*) compare "$target" ;;
    check:*) check ;;
    *) die "restore.sh: unknown step $step" ;;
  esac
}

verify_dump() { # FOLDER
  (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS) ||
    die "$(basename "$1") is damaged: a checksum does not match."
}

verify_base() { # FOLDER NAME TARGET
  local name
  for name in $(chain "$1" "$2"); do
    [[ -d $1/$name/data ]] || die "$2 is incomplete: it depends on $name, which is missing."
    pg_verifybackup --quiet --exit-on-error "$1/$name/data" ||
      die "$name is damaged: its files do not match its manifest."
  done
  [[ $3 != latest ]] || require_intact_wal "${1%/base}/wal" "$(metadata "$1/$2" timeline)" "$(metadata "$1/$2" first)"
}

chain() { # FOLDER NAME: the backups that it depends on and itself, the full one first
  local parent
  parent=$(metadata "$1/$2" parent)
  [[ -z $parent ]] || chain "$1" "$parent"
  echo "$2"
}

unpack_base() { # FOLDER NAME
  local names
  mapfile -t names < <(chain "$1" "$2" | sed "s|.*|$1/&/data|")
  require_free_space_for "${names[@]}"
  if ((${#names[@]} > 1)); then
    pg_combinebackup --output "$PGDATA" "${names[@]}"
  else
    mkdir -p "$PGDATA"
    cp --archive --reflink=auto "${names[0]}/." "$PGDATA"
  fi
  chmod 0700 "$PGDATA"
  sync --file-system "$PGDATA"
}

require_free_space_for() { # FOLDER...: for their size, and 1 GiB more: the live database may share the disk
  local needed free
  needed=$(du --summarize --total --block-size=1M "$@" | tail -n 1 | cut -f 1)
  free=$(df --output=avail --block-size=1M "${PGDATA%/*/*}" | tail -n 1)
  ((free > needed + 1024)) || die "The database volume has $((free)) MiB free; $((needed + 1024)) are needed."
}

unpack_dump() { # FOLDER
  require_free_space_for "$1" "$1" "$1" "$1"
  initdb --pgdata "$PGDATA" --username postgres --auth scram-sha-256 --pwfile /run/secrets/postgres_password \
    --data-checksums >/dev/null
  start "listen_addresses = ''"
  grep -vE '^CREATE ROLE postgres;' "$1/roles.sql" | sql --dbname postgres
  createdb app
  pg_restore --dbname app --jobs 2 --exit-on-error "$1/app.dump"
  require_equal "$1/fingerprint"
  vacuumdb --quiet --dbname app --analyze-only
  stop
}

recover() { # FOLDER NAME TARGET
  local settings=''
  case $3 in
    latest) ;;
    immediate) settings="recovery_target = 'immediate'" ;;
    lsn=*) settings="recovery_target_lsn = '${3#lsn=}'"$'\nrecovery_target_inclusive = off' ;;
    *) settings="recovery_target_time = '$3'" ;;
  esac
  if ! recover_to "${1%/base}" "$settings" 2>/tmp/reason; then
    # Nothing was committed after that time, so the end of intact WAL is the state at that time.
    if [[ $settings != *_time* ]] || ! grep -q 'recovery ended before' /tmp/reason; then die "$(</tmp/reason)"; fi
    require_intact_wal "${1%/base}/wal" "$(metadata "$1/$2" timeline)" "$(metadata "$1/$2" first)"
    recover_to "${1%/base}" ''
  fi
  sql --dbname postgres --command 'SELECT pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()'
  stop
}

recover_to() { # LINEAGE SETTINGS
  touch "$PGDATA/recovery.signal"
  start "hot_standby = off" "restore_command = 'bash $here/restore-command.sh \"$1\" %f \"%p\"'" \
    'recovery_target_timeline = current' 'recovery_target_action = promote' "$2"
}

compare() { # FINGERPRINT
  start
  require_equal "$1"
  stop
}

require_equal() { # FINGERPRINT
  sql --dbname app --file "$here/fingerprint.sql" >/tmp/fingerprint
  diff "$1" /tmp/fingerprint >/tmp/difference ||
    die "The restored database differs (<: expected, >: restored): $(head -n 5 /tmp/difference)"
}

check() {
  start
  bash /opt/postgres/roles.sh # this server's passwords: the backup may have older ones
  pg_amcheck --all --install-missing --jobs 2 --no-strict-names
  for name in app postgres template1; do sql --dbname "$name" --command 'DROP EXTENSION IF EXISTS amcheck'; done
  sql --dbname app --field-separator ' ' --file "$here/fingerprint.sql" |
    sed -n 's/^rows of public\.\(.*\) [-0-9]*$/\1/p'
  stop
  pg_checksums --check --pgdata "$PGDATA" >/dev/null
}

start() { # SETTING...: a private server on $PGDATA; returns after recovery
  echo 'local all all trust' >/tmp/hba
  printf '%s\n' "data_directory = '$PGDATA'" "hba_file = '/tmp/hba'" "listen_addresses = ''" \
    "unix_socket_directories = '/tmp'" 'max_wal_senders = 0' 'summarize_wal = off' 'wal_level = replica' \
    'timezone = UTC' 'log_timezone = UTC' "$@" >/tmp/restore.conf
  postgres -D "$PGDATA" -c config_file=/tmp/restore.conf >/tmp/server.log 2>&1 &
  until [[ $(sql --dbname postgres --command 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
    kill -0 $! 2>/dev/null || {
      grep -E 'FATAL|PANIC' /tmp/server.log | grep -vE 'is starting up|not accepting connections' | tail -n 4 >&2 ||
        echo "Postgres exited: $(tail -n 1 /tmp/server.log)" >&2
      return 1
    }
    sleep 0.1
  done
}

stop() {
  pg_ctl --pgdata "$PGDATA" --silent --mode fast --timeout 600 stop
  wait
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
