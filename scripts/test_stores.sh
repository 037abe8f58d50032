#!/usr/bin/env bash
# Run the tests on an S3-compatible store: moto's server, in .venv-stores; all else with .venv.
#   scripts/test_stores.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
uv="$venv/bin/uv"
python=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)')
own="$root/.venv-stores"

wanted=$(sha256sum <tests/stores/requirements.txt)
if [ ! -f "$own/.setup" ] || [ "$(cat "$own/.setup")" != "$wanted" ]; then
  "$uv" venv --quiet --clear --python "$python" "$own"
  "$uv" pip install --quiet --python "$own/bin/python" -r tests/stores/requirements.txt
  echo "$wanted" >"$own/.setup"
fi
use_environment
SPARKML_DIST_TEST_MODE=all "$venv/bin/python" -m pytest tests/stores "$@"
