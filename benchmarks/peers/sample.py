"""FLAML on the rows of a folder that its memory holds, for benchmarks/search_big.py.

Run as ``python sample.py FOLDER ROWS SECONDS SEED`` by the Python of the environment that has
FLAML. FOLDER holds ``X.npy``, ``y.npy`` and ``X_test.npy``; it gets ``flaml.npy``, the
probabilities of the second class, and ``flaml.json``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

CORES = 2
BATCH = 10_000


def main() -> None:
    from flaml import AutoML

    folder = Path(sys.argv[1])
    rows, seconds, seed = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    X = np.array(np.load(folder / "X.npy", mmap_mode="r")[:rows])
    y = np.load(folder / "y.npy")[:rows]
    model = AutoML()
    begun = time.perf_counter()
    model.fit(
        X,
        y,
        task="classification",
        metric="roc_auc",
        time_budget=seconds,
        n_jobs=CORES,
        seed=seed,
        verbose=0,
    )
    spent = time.perf_counter() - begun
    if model.model is None:  # it swallows the errors of its learners
        raise MemoryError("FLAML ended without a model")
    # Into the maps of a file, which count as no memory of the process.
    test = np.load(folder / "X_test.npy", mmap_mode="r")
    found = [
        model.predict_proba(np.array(test[i : i + BATCH]))[:, 1] for i in range(0, len(test), BATCH)
    ]
    np.save(folder / "flaml.npy", np.concatenate(found))
    told = {
        "rows": rows,
        "seconds": spent,
        "best": model.best_estimator,
        "tried": len(model.config_history),
    }
    (folder / "flaml.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
