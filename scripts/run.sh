#!/usr/bin/env bash
# Usage: run.sh
# The embedded run: an SQLite file, migrated and filled with samples once, served by Gunicorn.
set -euo pipefail

# Says whether the database was made with the migrations and by the Python that are here now.
stamp() { cat migrations/versions/*.py | cksum; }

prepare() {
  [[ -s instance/.prepared && $(<instance/.prepared) == "$(stamp)" ]] && return
  mkdir -p instance
  .venv/bin/flask --app wsgi db upgrade
  .venv/bin/flask --app wsgi seed --products 100
  stamp >instance/.prepared
}

main() {
  export FLASK_ENV=${FLASK_ENV:-development} HOST=${HOST:-127.0.0.1}
  prepare
  echo "Serving on http://localhost:${PORT:-8000}  (Ctrl-C stops)"
  exec .venv/bin/gunicorn
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
