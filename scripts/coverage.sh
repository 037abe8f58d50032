#!/usr/bin/env bash
# Run the tests and measure which lines of the library they run: in the test processes, Spark's
# Python workers and ranks. The report lies in build/coverage/html; a share of lines below the floor
# in pyproject.toml is a failure, where the whole suite ran.
#   scripts/coverage.sh [pytest arguments]        MODES="local connect" chooses the modes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

rm -rf build/coverage
mkdir -p build/coverage
export COVERAGE_FILE="$root/build/coverage/data"
status=0
# Every Python process that inherits this starts measuring, through the .pth file of coverage.
COVERAGE_PROCESS_START="$root/pyproject.toml" scripts/test.sh "$@" || status=$?

floor=()
if [ $# -gt 0 ] || [ -n "${MODES:-}" ]; then floor=(--fail-under=0); fi
coverage combine --quiet
coverage html --quiet --directory build/coverage/html "${floor[@]}" || true
coverage report --sort=cover --skip-covered "${floor[@]}" || status=1
exit $status
