#!/usr/bin/env bash
# Run DAGs and assets with a real Airflow and a real Dagster, in .venv-orchestrators, and check the
# manifests for Kubernetes; the jobs run with .venv.
#   scripts/test_orchestrators.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
uv="$venv/bin/uv"
python=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)')
own="$root/.venv-orchestrators"

wanted=$(sha256sum <tests/orchestrators/requirements.txt)
if [ ! -f "$own/.setup" ] || [ "$(cat "$own/.setup")" != "$wanted" ]; then
  "$uv" venv --quiet --clear --python "$python" "$own"
  "$uv" pip install --quiet --python "$own/bin/python" -r tests/orchestrators/requirements.txt
  # Without what it depends on: Airflow has packages of its own.
  "$uv" pip install --quiet --python "$own/bin/python" --no-deps --editable .
  echo "$wanted" >"$own/.setup"
fi
use_environment
# The fixtures of the other tests need a Spark session, which this environment does not have.
"$own/bin/python" -m pytest --confcutdir=tests/orchestrators -p no:cacheprovider \
  tests/orchestrators/{manifests,airflow_terms,airflow_dags,dagster_assets}.py "$@"
