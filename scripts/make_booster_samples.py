"""Write a small file of each booster, for later versions to read.

python scripts/make_booster_samples.py tests/samples/boosters

Run once for a form of these files: `tests/persistence/test_boosters.py` loads what lies there with
every later version, and compares its predictions. Files that are there already are left alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import prepare
from sparkml_dist.persistence.learners import dump_learner


def rows() -> npt.NDArray[np.float32]:
    """Return the rows that boosters are fitted on and asked about: two numbers and a category."""
    x = np.arange(48, dtype=np.float32)
    X = np.stack([x % 7 - 3, (x * 5) % 11 / 2, x % 5], axis=1)
    X[::9, 0] = np.nan
    return X


def boosters() -> dict[str, Any]:
    """Return a booster of each package."""
    import catboost
    import lightgbm
    import xgboost

    return {
        "xgboost": xgboost.XGBClassifier(n_estimators=2, max_depth=2),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=2, num_leaves=4),
        "catboost": catboost.CatBoostClassifier(iterations=2, depth=2),
    }


def main() -> None:
    """Write the files and their predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    X = rows()
    y = (np.arange(len(X)) * 3 % 7 // 3).astype(np.int64)
    for name, booster in boosters().items():
        if (folder / f"{name}.skops").exists():
            continue
        made = BoosterLearner(prepare(booster, 1, 1, categories=[0, 0, 5]), [2]).fit(X, y)
        (folder / f"{name}.skops").write_bytes(dump_learner(made))
        found = made.predict_proba(X).astype(float).round(7).tolist()
        (folder / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
