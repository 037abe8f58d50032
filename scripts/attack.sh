#!/usr/bin/env bash
# Attack what is saved with every alteration that we know, and kill jobs at every place; the tables
# go to tests/attack/. Ends with a status of its own when anything is lost, run or unclear.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment
failed=0
python -m tests.attack.campaign --table tests/attack/alterations.md || failed=1
python -m tests.attack.kills --table tests/attack/kills.md || failed=1
SPARKML_DIST_HOSTILE="${SPARKML_DIST_HOSTILE:-25}" python -m pytest -q tests/jobs/test_hostile.py || failed=1
exit $failed
