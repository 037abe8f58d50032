#!/usr/bin/env bash
# Run the benchmarks one after the other; results as JSON in build/bench.
#   scripts/bench.sh [NAME…]       NAME is that of benchmarks/bench_NAME.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

mkdir -p build/bench
if [ $# -gt 0 ]; then
  scripts=("${@/#/benchmarks/bench_}")
  scripts=("${scripts[@]/%/.py}")
else
  shopt -s nullglob
  scripts=(benchmarks/bench_*.py)
fi
failed=0
for script in "${scripts[@]}"; do
  printf '\n######## %s\n' "$script"
  python "$script" || failed=1
done
exit $failed
