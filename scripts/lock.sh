#!/usr/bin/env bash
# Usage: lock.sh [--upgrade]
# Writes requirements*.txt from requirements*.in: every pin, for every platform, with its hashes.
set -euo pipefail

main() {
  local name
  for name in requirements requirements-dev; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
      --custom-compile-command 'make lock' "$@" "$name.in" --output-file "$name.txt"
  done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
