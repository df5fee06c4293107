#!/usr/bin/env bash
# Usage: [TESTS=PATHS | PART=N/COUNT | MINUTES=M] test.sh [smoke | all]
# Runs the unit and integration levels on all cores, then, where a Docker engine answers, the stack level one test at a
# time, because its tests measure latency: the fixed smoke selection, or all of it. TESTS runs some files, PART one of
# COUNT equal parts of the stack level, MINUTES as many of its files as fit, in an order that the commit decides.
set -euo pipefail

PYTEST=(.venv/bin/python -m pytest)

main() {
  local selection=${1:-smoke} status=0 tests
  if [[ -n ${TESTS:-} ]]; then
    read -ra tests <<<"$TESTS"
    exec "${PYTEST[@]}" "${tests[@]}"
  fi
  if [[ -n ${PART:-} ]]; then exec "${PYTEST[@]}" tests/stack --part "$PART"; fi
  if [[ -n ${MINUTES:-} ]]; then
    "${PYTEST[@]}" tests/stack --minutes "$MINUTES" || [[ $? -eq 5 ]] # 5: no file fits, or no Docker engine
    return
  fi
  "${PYTEST[@]}" tests/unit tests/integration --numprocesses "$(workers)" --dist loadfile || status=1
  case $selection in
    smoke) "${PYTEST[@]}" tests/stack -m smoke || status=1 ;;
    all) "${PYTEST[@]}" tests/stack --record-durations || status=1 ;;
    *) echo "test.sh: unknown selection '$selection'; use smoke or all" >&2 && exit 2 ;;
  esac
  return "$status"
}

workers() { # one more than there are cores, because integration tests wait for servers
  echo $(($(nproc 2>/dev/null || sysctl -n hw.ncpu) + 1))
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
