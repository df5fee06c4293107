#!/usr/bin/env bash
# Usage: venv.sh PYTHON REQUIREMENTS...
# Makes .venv with PYTHON where there is none, and installs the pins, each checked against its hash.
set -euo pipefail

main() {
  local python=$1 file
  shift
  "$python" -c 'import sys; sys.exit("Python 3.11 or newer is needed." if sys.version_info < (3, 11) else 0)'
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv
  local arguments=()
  for file in "$@"; do arguments+=(--requirement "$file"); done
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes "${arguments[@]}"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
