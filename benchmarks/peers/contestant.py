"""One contestant of benchmarks/automl.py: fits a model within a time, and writes its predictions.

Run as ``python contestant.py NAME FOLDER SECONDS SEED`` by the Python of the environment that has
the package. FOLDER holds ``data.npz`` (X, y, X_test) and ``task.json``; it gets ``NAME.npz`` with
the predictions and ``NAME.json`` with the seconds of the fit.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CORES = 2
METRICS = {"auc": "roc_auc", "log_loss": "log_loss", "rmse": "rmse"}


def flaml(X: Any, y: Any, X_test: Any, task: dict[str, Any], seconds: float, seed: int) -> Any:
    """FLAML; the import is not counted."""
    from flaml import AutoML

    model = AutoML()
    begun = time.perf_counter()
    model.fit(
        X,
        y,
        task="regression" if task["regression"] else "classification",
        metric=METRICS[task["metric"]],
        time_budget=seconds,
        n_jobs=CORES,
        seed=seed,
        verbose=0,
    )
    spent = time.perf_counter() - begun
    return model.predict(X_test) if task["regression"] else model.predict_proba(X_test), spent


def h2o(X: Any, y: Any, X_test: Any, task: dict[str, Any], seconds: float, seed: int) -> Any:
    """H2O AutoML; the start of its cluster and the upload of the rows are not counted."""
    import h2o as engine
    import pandas as pd
    from h2o.automl import H2OAutoML

    engine.init(nthreads=CORES, max_mem_size="6g", name=f"bench{time.time_ns()}", verbose=False)
    try:
        engine.no_progress()
        names = [f"f{i}" for i in range(X.shape[1])]
        frame = pd.DataFrame(X, columns=names)
        # A letter before the number: h2o sorts classes as text.
        frame["y"] = y if task["regression"] else [f"c{v:03d}" for v in y.astype(int)]
        train = engine.H2OFrame(frame)
        if not task["regression"]:
            train["y"] = train["y"].asfactor()
        test = engine.H2OFrame(pd.DataFrame(X_test, columns=names))
        metric = {"auc": "AUC", "log_loss": "logloss", "rmse": "RMSE"}[task["metric"]]
        model = H2OAutoML(max_runtime_secs=int(seconds), seed=seed + 1, sort_metric=metric)
        begun = time.perf_counter()
        model.train(x=names, y="y", training_frame=train)
        spent = time.perf_counter() - begun
        found = model.leader.predict(test).as_data_frame()
        if task["regression"]:
            return found["predict"].to_numpy(), spent
        return found[sorted(c for c in found.columns if c != "predict")].to_numpy(), spent
    finally:
        engine.cluster().shutdown()


def lightgbm(X: Any, y: Any, X_test: Any, task: dict[str, Any], _: float, seed: int) -> Any:
    """LightGBM with its defaults."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if task["regression"] else LGBMClassifier
    model = kind(n_jobs=CORES, random_state=seed, verbose=-1)
    begun = time.perf_counter()
    model.fit(X, y)
    spent = time.perf_counter() - begun
    return model.predict(X_test) if task["regression"] else model.predict_proba(X_test), spent


def sparkml_dist(
    X: Any, y: Any, X_test: Any, task: dict[str, Any], seconds: float, seed: int
) -> Any:
    """This package, on local[2]; the start of the session is not counted."""
    import pandas as pd

    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    from common import session

    from sparkml_dist import AutoClassifier, AutoRegressor

    logging.basicConfig(format="%(relativeCreated)d %(message)s")
    logging.getLogger("sparkml_dist").setLevel(logging.INFO)
    spark = session("automl", memory="3g")
    folder = Path(sys.argv[2])
    names = [f"f{i}" for i in range(X.shape[1])]
    wide = X.shape[1] > 200

    def table(X: Any, name: str, **more: Any) -> Any:
        frame = pd.DataFrame({"f": list(X.astype(np.float32))}) if wide else None
        frame = pd.DataFrame(X, columns=names) if frame is None else frame
        frame.assign(**more).to_parquet(folder / f"{name}.parquet")
        return spark.read.parquet(str(folder / f"{name}.parquet"))

    train = table(X, "train", label=y if task["regression"] else y.astype(int))
    test = table(X_test, "test", row=np.arange(len(X_test)))
    kind = AutoRegressor if task["regression"] else AutoClassifier
    begun = time.perf_counter()
    model = kind(timeBudget=seconds, seed=seed, metric=task["metric"]).fit(train)
    spent = time.perf_counter() - begun
    for row in model.leaderboardTable():
        print(
            row["family"],
            row["resource"],
            row["score"],
            round(row["weight"], 2),
            row["params"],
            round(row["seconds"], 1),
            row["state"],
            row["reason"][:80],
            flush=True,
        )
    print(model.scores, model.summary, model.tried, model.alerts, flush=True)
    column = "prediction" if task["regression"] else "probability"
    scored = model.transform(test).select("row", column).toPandas().sort_values("row")
    values = scored[column].to_list()
    return np.array(values if task["regression"] else [v.toArray() for v in values]), spent


def main() -> None:
    name, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:5])
    data = np.load(folder / "data.npz")
    task = json.loads((folder / "task.json").read_text())
    contestant = {f.__name__: f for f in (flaml, h2o, lightgbm, sparkml_dist)}[name]
    found, spent = contestant(data["X"], data["y"], data["X_test"], task, seconds, int(seed))
    np.savez(folder / f"{name}.npz", predicted=found)
    (folder / f"{name}.json").write_text(json.dumps({"seconds": spent}))


if __name__ == "__main__":
    main()
