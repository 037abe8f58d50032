#!/usr/bin/env bash
# Run a core of the tests with the oldest versions that pyproject.toml allows for what is used
# directly, in .venv-lowest, locally. Deep networks are left out: their versions are pinned.
#   scripts/test_lowest.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
uv="$venv/bin/uv"
python=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)')
venv="$root/.venv-lowest"

# The oldest versions were made for the oldest Python that is allowed.
wanted=$(sha256sum <pyproject.toml)
if [ ! -f "$venv/.setup" ] || [ "$(cat "$venv/.setup")" != "$wanted" ]; then
  "$uv" venv --quiet --clear --python "$python" "$venv"
  VIRTUAL_ENV="$venv" "$uv" pip install --quiet --resolution lowest-direct \
    -r pyproject.toml --extra onnx "pytest>=8" "hypothesis>=6.100"
  echo "$wanted" >"$venv/.setup"
fi
use_environment
"$uv" pip list --quiet --python "$venv/bin/python" | grep -iE '^(pyspark|scikit-learn|numpy|pandas|pyarrow) '

core=(
  tests/dataset/test_{partition,reader,splits}.py
  tests/tables/test_read.py
  tests/ensemble/test_{adaboost,bagging,gradient_boosting,voted}.py
  tests/metrics tests/models tests/report tests/onnx
  tests/persistence/test_{learners,model_folder,arrays}.py
  tests/mining/clusters/test_centers.py
  tests/mining/itemsets/test_frequent_itemsets.py
  tests/mining/neighbors/test_nearest_neighbors.py
  tests/mining/outliers/test_isolation_forest.py
  tests/mining/profiling/test_{profile,drift}.py
  tests/mining/rules/test_association_rules.py
  tests/mining/sequences/test_sequential_patterns.py
)
failed=0
for mode in local ensembles processes; do
  SPARKML_DIST_TEST_MODE=$mode python -m pytest -q "${core[@]}" "$@" || failed=1
done
exit $failed
