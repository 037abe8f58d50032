#!/usr/bin/env bash
# Run the benchmarks one after the other; tables in benchmarks/results, JSON in build/bench.
#   scripts/bench.sh [NAME…]       NAME is that of benchmarks/NAME.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

if [ $# -gt 0 ]; then
  scripts=("${@/#/benchmarks/}")
  scripts=("${scripts[@]/%/.py}")
else
  scripts=(benchmarks/{reading,overhead,job_overhead,mlflow_overhead,memory,accuracy,launch,transform,sums}.py)
  scripts+=(benchmarks/ensemble_{auc,scoring,overhead,parity}.py)
  scripts+=(benchmarks/gang_boost.py)
  scripts+=(benchmarks/search_{engine,asha}.py)
  scripts+=(benchmarks/statistics_{logistic,wide,forms}.py)
  scripts+=(benchmarks/deep_{coupling,single,input,mnist,recovery}.py)
  scripts+=(benchmarks/mining_{itemsets,scale,neighbors,dbscan,outliers,profile}.py)
fi
failed=0
for script in "${scripts[@]}"; do
  printf '\n######## %s\n' "$script"
  python "$script" || failed=1
done
exit $failed
