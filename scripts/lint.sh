#!/usr/bin/env bash
# Usage: lint.sh
# Run every linter, and continue after a failure so that one run reports all problems.
set -uo pipefail

failed=()

check() { # NAME COMMAND...
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}

compose() { # FILE...: validate with Compose
  local arguments=() file
  for file in "$@"; do arguments+=(--file "$file"); done
  SECRET_KEY=lint TRUSTED_HOSTS=lint docker compose "${arguments[@]}" config --quiet
}

main() {
  local bin=.venv/bin
  check ruff $bin/ruff check .
  check "ruff format" $bin/ruff format --check .
  check mypy $bin/mypy
  check "import layers" $bin/lint-imports --no-logo
  check shellcheck $bin/shellcheck scripts/*.sh deploy/postgres/*.sh deploy/pgbouncer/*.sh nginx/start/* nginx/apply-config.sh deploy/observability/*.sh .ci/run
  check "shellcheck (backup)" $bin/shellcheck -x -P deploy/backup deploy/backup/*.sh
  check hadolint $bin/hadolint Dockerfile bench/Dockerfile
  check "hadolint (pgbouncer)" $bin/hadolint --ignore DL3008 deploy/pgbouncer/Dockerfile # Debian's archive has only the newest version
  check gixy $bin/python scripts/lint_edge.py
  check "shellcheck (tests)" $bin/shellcheck tests/support/stack/workflow/server/start.sh
  check "hadolint (tests)" $bin/hadolint --ignore DL3008 tests/support/stack/workflow/*/Dockerfile tests/support/stack/tools/Dockerfile
  check actionlint $bin/actionlint -shellcheck $bin/shellcheck .github/workflows/*.yml
  check zizmor $bin/zizmor --offline --strict-collection --quiet .github tests/support/stack/workflow/actions
  check migrations $bin/python scripts/check_migrations.py
  check markdown $bin/rumdl check --quiet .
  check "docs/metrics.md" $bin/python scripts/metrics_page.py --check
  check "docs/production-check.md" $bin/python scripts/production_check_page.py --check
  check "docs/guarantees.md" $bin/python scripts/guarantees_page.py --check
  if docker compose version >/dev/null 2>&1; then
    check "compose (development)" compose docker-compose.yml
    check "compose (production)" compose docker-compose.prod.yml
    check "compose (bench)" compose docker-compose.yml bench/docker-compose.yml
  else
    echo "== compose: skipped, Docker Compose is not installed"
  fi
  ((${#failed[@]} == 0)) || {
    echo "Failed: ${failed[*]}" >&2
    return 1
  }
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
