#!/usr/bin/env bash
# Usage: run.sh
# The embedded run: an SQLite file, migrated and filled with samples once, served by Gunicorn.
set -euo pipefail

# What the database was prepared with: the migrations, and where it is.
stamp() {
  {
    cat migrations/versions/*.py
    [[ ! -f .env ]] || cat .env
    echo "${DATABASE_URL:-}"
  } | cksum
}

prepare() {
  [[ -s instance/.prepared && $(<instance/.prepared) == "$(stamp)" && (-n ${DATABASE_URL:-} || -s instance/app.db) ]] && return
  mkdir -p instance
  .venv/bin/flask --app wsgi db upgrade
  .venv/bin/flask --app wsgi seed --products 100
  stamp >instance/.prepared
}

main() {
  export FLASK_ENV=${FLASK_ENV:-development} HOST=${HOST:-127.0.0.1}
  prepare
  [[ -n ${WEB_CONCURRENCY:-} ]] || unset WEB_CONCURRENCY # Gunicorn reads it by itself, and stops at an empty one
  exec .venv/bin/gunicorn
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
