#!/usr/bin/env bash
# Usage: restore.sh verify|lay-out|recover|check WHAT [TARGET]
#        restore.sh compare WHAT FINGERPRINT
# The steps of a restore into $PGDATA; nothing else is touched. WHAT is dumps/NAME or LINEAGE/base/NAME in the backups' folder.
# TARGET, for what is recovered from WAL: latest; immediate, which is as the backup was taken; a time such as
# 2026-11-25 10:00:00+00; or lsn=X/Y, which is up to there and without what begins there.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/lib.sh"
source "$here/wal.sh"
export PGHOST=/tmp PGUSER=postgres # a server of our own, which nobody else reaches

main() {
  local step=$1 what=$2 target=${3:-latest}
  exec 8>"$backups/.reading"
  flock --shared 8
  [[ -r $backups/$what/about ]] || die "There is no backup $what."
  [[ $step != lay-out || ! -e $PGDATA ]] || die "$PGDATA is there already."
  case $step:$what in
    verify:dumps/*) verify_dump "$backups/$what" ;;
    verify:*) verify_base "$backups/${what%/*}" "${what##*/}" "$target" ;;
    lay-out:dumps/*) lay_out_dump "$backups/$what" ;;
    lay-out:*) lay_out_base "$backups/${what%/*}" "${what##*/}" ;;
    recover:dumps/*) ;;
    recover:*) recover "$backups/${what%/*}" "${what##*/}" "$target" ;;
    compare:*) compare "$target" ;;
    check:*) check ;;
    *) die "restore.sh: $step is not known" ;;
  esac
}

verify_dump() { # FOLDER
  (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS) || die "$(basename "$1") is damaged: its files are not what was written."
}

verify_base() { # FOLDER NAME TARGET
  local name
  for name in $(chain "$1" "$2"); do
    [[ -d $1/$name/data ]] || die "$2 cannot be used: it rests on $name, which is not there."
    pg_verifybackup --quiet --exit-on-error "$1/$name/data" || die "$name is damaged: its files are not what was written."
  done
  [[ $3 != latest ]] || refuse_damaged_wal "${1%/base}/wal" "$(about "$1/$2" timeline)" "$(about "$1/$2" first)"
}

chain() { # FOLDER NAME: the names of what a backup rests on, and its own, the full one first
  local parent
  parent=$(about "$1/$2" parent)
  [[ -z $parent ]] || chain "$1" "$parent"
  echo "$2"
}

lay_out_base() { # FOLDER NAME
  local names
  mapfile -t names < <(chain "$1" "$2" | sed "s|.*|$1/&/data|")
  refuse_no_room "${names[@]}"
  if ((${#names[@]} > 1)); then
    pg_combinebackup --output "$PGDATA" "${names[@]}"
  else
    mkdir -p "$PGDATA"
    cp --archive --reflink=auto "${names[0]}/." "$PGDATA"
  fi
  chmod 0700 "$PGDATA"
  sync --file-system "$PGDATA"
}

refuse_no_room() { # FOLDER...: for as much as they have, with a gibibyte left: the live database may be on that disk
  local needed free
  needed=$(du --summarize --total --block-size=1M "$@" | tail -n 1 | cut -f 1)
  free=$(df --output=avail --block-size=1M "${PGDATA%/*/*}" | tail -n 1)
  ((free > needed + 1024)) || die "$((free)) MiB are free where the database would be laid out, and $needed and 1024 are needed."
}

lay_out_dump() { # FOLDER
  refuse_no_room "$1" "$1" "$1" "$1"
  initdb --pgdata "$PGDATA" --username postgres --auth scram-sha-256 --pwfile /run/secrets/postgres_password --data-checksums >/dev/null
  start "listen_addresses = ''"
  grep -vE '^CREATE ROLE postgres;' "$1/roles.sql" | sql --dbname postgres
  createdb app
  pg_restore --dbname app --jobs 2 --exit-on-error "$1/app.dump"
  refuse_difference "$1/fingerprint"
  vacuumdb --quiet --dbname app --analyze-only
  stop
}

recover() { # FOLDER NAME TARGET
  local wanted=''
  case $3 in
    latest) ;;
    immediate) wanted="recovery_target = 'immediate'" ;;
    lsn=*) wanted="recovery_target_lsn = '${3#lsn=}'"$'\nrecovery_target_inclusive = off' ;;
    *) wanted="recovery_target_time = '$3'" ;;
  esac
  if ! recover_to "${1%/base}" "$wanted" 2>/tmp/reason; then
    # Nothing was committed after that time: what is there to the end is what was there then, if the end is one.
    if [[ $wanted != *_time* ]] || ! grep -q 'recovery ended before' /tmp/reason; then die "$(</tmp/reason)"; fi
    refuse_damaged_wal "${1%/base}/wal" "$(about "$1/$2" timeline)" "$(about "$1/$2" first)"
    recover_to "${1%/base}" ''
  fi
  sql --dbname postgres --command 'SELECT pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()'
  stop
}

recover_to() { # LINEAGE SETTINGS
  touch "$PGDATA/recovery.signal"
  start "hot_standby = off" "restore_command = 'bash $here/fetch.sh \"$1\" %f \"%p\"'" \
    'recovery_target_timeline = current' 'recovery_target_action = promote' "$2"
}

compare() { # FINGERPRINT
  start
  refuse_difference "$1"
  stop
}

refuse_difference() { # FINGERPRINT
  sql --dbname app --file "$here/fingerprint.sql" >/tmp/fingerprint
  diff "$1" /tmp/fingerprint >/tmp/difference || die "What was restored differs (<: as it was, >: as it is now): $(head -n 5 /tmp/difference)"
}

check() {
  start
  bash /opt/postgres/roles.sh # today's passwords, which it may be older than
  pg_amcheck --all --install-missing --jobs 2 --no-strict-names
  for name in app postgres template1; do sql --dbname "$name" --command 'DROP EXTENSION IF EXISTS amcheck'; done
  sql --dbname app --field-separator ' ' --file "$here/fingerprint.sql" | sed -n 's/^rows of public\.\(.*\) [-0-9]*$/\1/p'
  stop
  pg_checksums --check --pgdata "$PGDATA" >/dev/null
}

start() { # SETTING...: the server on $PGDATA, for nobody but us; returns when what is to be recovered is
  echo 'local all all trust' >/tmp/hba
  printf '%s\n' "data_directory = '$PGDATA'" "hba_file = '/tmp/hba'" "listen_addresses = ''" \
    "unix_socket_directories = '/tmp'" 'max_wal_senders = 0' 'summarize_wal = off' 'wal_level = replica' 'timezone = UTC' \
    'log_timezone = UTC' "$@" >/tmp/restore.conf
  postgres -D "$PGDATA" -c config_file=/tmp/restore.conf >/tmp/server.log 2>&1 &
  until [[ $(sql --dbname postgres --command 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
    kill -0 $! 2>/dev/null || {
      grep -E 'FATAL|PANIC' /tmp/server.log | grep -vE 'is starting up|not accepting connections' | tail -n 4 >&2 ||
        echo "Postgres ended without a word: $(tail -n 1 /tmp/server.log)" >&2
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
