#!/usr/bin/env bash
# Usage: venv.sh PYTHON REQUIREMENTS...
# Create .venv with PYTHON if it does not exist, and install the pinned requirements with their hashes.
set -euo pipefail

main() {
  local python=$1 file
  shift
  "$python" -c 'import sys; sys.exit("Python 3.11 or newer is required." if sys.version_info < (3, 11) else 0)'
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv
  local arguments=()
  for file in "$@"; do arguments+=(--requirement "$file"); done
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes "${arguments[@]}"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
