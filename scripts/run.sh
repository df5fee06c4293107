#!/usr/bin/env bash
# Usage: run.sh
# Serve with Gunicorn from an SQLite file, after creating the schema and sample products once.
set -euo pipefail

# A checksum of the database's location and the migrations that have prepared it.
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
  [[ -n ${WEB_CONCURRENCY:-} ]] || unset WEB_CONCURRENCY # Gunicorn fails on an empty value
  exec .venv/bin/gunicorn
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
