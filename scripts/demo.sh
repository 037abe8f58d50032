#!/usr/bin/env bash
# The demo: train an ensemble and a deep network with spark-submit, on real and on generated data,
# score held-out rows with both, and print one table. Everything it makes lies in build/demo.
#   ROWS=1000000 scripts/demo.sh       a smaller generated data set
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

demo=build/demo
data=$demo/data
rows=${ROWS:-4000000}
mkdir -p "$demo/logs"
began=$SECONDS

say() { printf '\n[%3d s] %s\n' $((SECONDS - began)) "$*"; }

# job NAME SCRIPT OPTIONS…: run a job with its output in build/demo/NAME. What it says of its
# progress is shown; Spark's own log goes to a file.
job() {
  local name=$1 script=$2 log=$demo/logs/$1.log
  shift 2
  if ! spark-submit --master "local[2]" --properties-file spark-defaults.conf \
    "jobs/$script" "$@" --output "$demo/$name" --overwrite 2>"$log" |
    tee "$demo/logs/$name.out" | sed -u -e '/^{/d' -e 's/^/        /'; then
    tail -n 15 "$log" >&2
    echo "demo: the job $name failed; its log is $log" >&2
    exit 1
  fi
}

say "Data: scikit-learn's digits, and $rows generated rows, written part by part."
python scripts/make_demo_data.py "$data" --rows "$rows" >"$demo/logs/data.out"

digits=(--train "$data/digits.parquet" --label digit --test-fraction 0.2)
generated=(--train "$data/generated" --test "$data/held-out" --label label)

say "Digits, ensemble: 16 members of 50 randomised trees, each member on one of 2 shards."
job ensemble-digits train_ensemble.py "${digits[@]}" --shards 2 --members 16 \
  --estimator sklearn.ensemble.ExtraTreesClassifier --estimator-params '{"n_estimators": 50}'

say "Digits, deep: a convolutional network on the same shards, 2 ranks joined by Horovod."
job deep-digits train_deep.py "${digits[@]}" --shards-from "$demo/ensemble-digits" --ranks 2 \
  --model cnn --input-shape 8,8,1 --epochs 15 --batch-size 32

say "Generated, ensemble: 16 members of gradient boosting, a shard each, cut for tasks of 32 MB."
job ensemble-generated train_ensemble.py "${generated[@]}" --memory-per-task 32m --members 16 \
  --method pasting --estimator sklearn.ensemble.HistGradientBoostingClassifier

say "Generated, deep: a perceptron, 2 ranks that stream the same shards, one pass over the data."
job deep-generated train_deep.py "${generated[@]}" --shards-from "$demo/ensemble-generated" \
  --ranks 2 --model mlp --epochs 1 --batch-size 1024

say "Done."
python scripts/demo_table.py "$demo" | tee "$demo/table.txt"
