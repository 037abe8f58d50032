#!/usr/bin/env bash
# Tells Spark the GPUs of a worker or executor, for spark.worker.resource.gpu.discoveryScript and
# spark.executor.resource.gpu.discoveryScript: {"name": "gpu", "addresses": ["0", "1"]}
set -euo pipefail
addresses=$(nvidia-smi --query-gpu=index --format=csv,noheader | sed 's/.*/"&"/' | paste -sd, -)
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
