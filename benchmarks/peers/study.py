"""One peer of benchmarks/search_peers.py: a study of LightGBM's settings within a time.

Run as ``python study.py NAME FOLDER SECONDS SEED`` by the Python of .venv-peers. FOLDER holds
``X.npy``, ``y.npy`` and ``X_test.npy``; it gets ``NAME.npy`` with the probabilities of the best
model for the rows of ``X_test``, and ``NAME.json``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SLOTS = 2
HELD = 0.2


def learner(setting: dict[str, Any], threads: int = 1) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(**setting, n_jobs=threads, verbose=-1)


def suggest(trial: Any) -> dict[str, Any]:
    """The space of the benchmark, as Optuna writes it."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.5, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 15, 255),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10, log=True),
        "n_estimators": trial.suggest_int("n_estimators", 50, 400),
    }


def objective(folder: Path, median_pruner: bool) -> Any:
    """Return the function of a trial: AUC on a fifth of the rows, reported every 25 rounds."""

    def of(trial: Any) -> float:
        import optuna
        from sklearn.metrics import roc_auc_score

        X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
        held = round(HELD * len(y))
        setting = suggest(trial)

        def tell(env: Any) -> None:
            if median_pruner and (env.iteration + 1) % 25 == 0:
                trial.report(env.evaluation_result_list[0][2], env.iteration + 1)
                if trial.should_prune():
                    raise optuna.TrialPruned

        model = learner(setting)
        model.fit(X[held:], y[held:], eval_set=[(X[:held], y[:held])], eval_metric="auc",
                  callbacks=[tell])  # fmt: skip
        return float(roc_auc_score(y[:held], model.predict_proba(X[:held])[:, 1]))

    return of


def run_optuna(folder: Path, seconds: float, seed: int) -> Any:
    """Optuna in one process with joblib's threads, every row in memory, its median pruner."""
    import joblib
    import optuna

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    of, ends = objective(folder, True), time.perf_counter() + seconds

    def thread(_: int) -> None:
        study.optimize(of, timeout=max(0.0, ends - time.perf_counter()))

    joblib.Parallel(n_jobs=SLOTS, prefer="threads")(joblib.delayed(thread)(k) for k in range(SLOTS))
    return study


def run_mlflow(folder: Path, seconds: float, seed: int) -> Any:
    """MLflow's study on Spark, local[2]: as many trials at a time as slots."""
    import mlflow
    import optuna
    from mlflow.optuna.storage import MlflowStorage
    from mlflow.pyspark.optuna.study import MlflowSparkStudy
    from pyspark.sql import SparkSession

    SparkSession.builder.master(f"local[{SLOTS}]").config("spark.ui.enabled", "false").getOrCreate()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("study", artifact_location=str(folder / "artifacts"))
    study = MlflowSparkStudy(
        "study",
        MlflowStorage(experiment_id=experiment),
        sampler=optuna.samplers.TPESampler(seed=seed),
        mlflow_tracking_uri=uri,
    )
    # It has no time budget over batches: batches of a trial to a slot, until the time is over.
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        study.optimize(objective(folder, True), n_trials=2 * SLOTS, n_jobs=SLOTS)
    return study


def main() -> None:
    name, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:5])
    begun = time.perf_counter()
    # The time of the study and of the last fit, on all rows and both cores.
    study = {"optuna": run_optuna, "mlflow": run_mlflow}[name](folder, 0.85 * seconds, int(seed))
    model = learner(study.best_params, SLOTS)
    model.fit(np.load(folder / "X.npy"), np.load(folder / "y.npy"))
    spent = time.perf_counter() - begun
    np.save(folder / f"{name}.npy", model.predict_proba(np.load(folder / "X_test.npy"))[:, 1])
    states = [t.state.name for t in study.trials]
    told = {"seconds": spent, "trials": len(states), "pruned": states.count("PRUNED")}
    (folder / f"{name}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
