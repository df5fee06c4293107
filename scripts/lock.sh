#!/usr/bin/env bash
# Usage: lock.sh [--upgrade]
# Write requirements*.txt from requirements*.in: all pinned versions, for all platforms, with hashes.
set -euo pipefail

main() {
  local name
  for name in requirements requirements-dev; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
      --custom-compile-command 'make lock' "$@" "$name.in" --output-file "$name.txt"
  done
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
