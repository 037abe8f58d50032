"""What the tests of tracking share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

EXPERIMENT = "tests"
SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "protocol-1"
ROWS = pd.DataFrame({"x": [0, 1, 2], "z": [0.5, 1.0, None], "kind": ["a", "b", "c"]})


def artifacts(run_id):
    """Names of all artifacts of a run."""
    import mlflow

    found, folders = set(), [""]
    while folders:
        for item in mlflow.MlflowClient().list_artifacts(run_id, folders.pop() or None):
            (folders.append if item.is_dir else found.add)(item.path)
    return found
