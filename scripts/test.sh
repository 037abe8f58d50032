#!/usr/bin/env bash
# Run the tests in each mode, each in a process of its own (a process has one Spark session):
# all of them locally, then those marked "modes" on a local cluster and over Spark Connect.
#   scripts/test.sh [pytest arguments]        MODES="local connect" chooses the modes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

read -ra modes <<<"${MODES:-local local-cluster connect}"
rows=() failed=0
for mode in "${modes[@]}"; do
  printf '\n######## tests in mode %s\n' "$mode"
  started=$SECONDS status=0
  SPARKML_DIST_TEST_MODE=$mode python -m pytest "$@" || status=$?
  case $status in
    0) result=passed ;;
    5) result="no tests" ;;
    *) result="FAILED" ;;
  esac
  # Chosen tests (-k, a file) may have none in a mode; the whole suite has some in each.
  if [ "$status" -ne 0 ] && { [ "$status" -ne 5 ] || [ $# -eq 0 ]; }; then failed=1; fi
  rows+=("$(printf '%-15s %-9s %5d s' "$mode" "$result" $((SECONDS - started)))")
done

printf '\n######## summary\n'
printf '%s\n' "${rows[@]}"
exit $failed
