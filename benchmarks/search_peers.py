"""A search at equal time: ours on shards, Optuna with joblib in memory, MLflow's Spark study."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, generated, median, report, scratch, session
from scipy.stats import loguniform, randint

PEERS = ROOT / ".venv-peers" / "bin" / "python"
CONTESTANTS = ("sparkml_dist", "optuna", "mlflow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    from sklearn.metrics import roc_auc_score

    rows: list[dict[str, Any]] = []
    areas: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    with scratch() as folder:
        spark = session("search_peers")
        _write(generated(spark, arguments.rows), folder, "")
        _write(generated(spark, 100_000, start=arguments.rows), folder, "_test")
        spark.stop()
        truth = np.load(folder / "y_test.npy")
        for seed in arguments.seeds:
            for name in CONTESTANTS:
                if name == "sparkml_dist":
                    told, predicted = _ours(folder, arguments, seed)
                else:
                    told, predicted = _peer(name, folder, arguments.seconds, seed)
                areas[name].append(float(roc_auc_score(truth, predicted)))
                shown = {"seed": seed, "search": name, "AUC on new rows": f"{areas[name][-1]:.5f}"}
                rows.append(
                    {**shown, "seconds": f"{told['seconds']:.1f}", "trials": told["trials"]}
                )
                print(rows[-1], flush=True)
    ours, best = median(areas["sparkml_dist"]), max(median(areas[n]) for n in CONTESTANTS[1:])
    report(
        "search_peers",
        f"The settings of LightGBM searched for {arguments.seconds:.0f} s on two cores, "
        f"{arguments.rows:,} × 28, TPE for all. Ours: ASHA over {arguments.shards} shards, an "
        "ensemble of the best; the cutting into shards is part of its time. Optuna: one process, "
        "two threads of joblib, every row in memory, median pruner. MLflow: MlflowSparkStudy on "
        "local[2]. Both fit their best setting again on all rows within the time.",
        rows,
        target="the best AUC at equal time",
        measured=f"median AUC {ours:.5f}, the better of the others {best:.5f}",
        met=ours >= best,
    )


def _write(frame: Any, folder: Path, ending: str) -> None:
    table = frame.toPandas()
    np.save(folder / f"X{ending}.npy", table.drop(columns="label").to_numpy(np.float32))
    np.save(folder / f"y{ending}.npy", table["label"].to_numpy(np.int64))
    table.to_parquet(folder / f"rows{ending}.parquet", row_group_size=65_536)


def _ours(folder: Path, arguments: Any, seed: int) -> tuple[dict[str, Any], Any]:
    import time

    from lightgbm import LGBMClassifier
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    from sparkml_dist import HyperparameterSearch

    spark = session("search_peers")
    train = spark.read.parquet(str(folder / "rows.parquet"))
    begun = time.perf_counter()
    model = HyperparameterSearch(
        estimator=LGBMClassifier(verbose=-1),
        space={
            "learning_rate": loguniform(0.02, 0.5),
            "num_leaves": randint(15, 256),
            "min_child_samples": randint(5, 101),
            "reg_lambda": loguniform(1e-3, 10),
            "n_estimators": randint(50, 401),
        },
        sampler="tpe",
        scheduler="asha",
        metric="auc",
        numShards=arguments.shards,
        timeBudget=arguments.seconds,
        refit="ensemble",
        ensembleSize=8,
        seed=seed,
    ).fit(train)
    spent = time.perf_counter() - begun
    test = spark.read.parquet(str(folder / "rows_test.parquet"))
    test = test.select("*", F.monotonically_increasing_id().alias("row"))
    scored = model.transform(test).select("row", vector_to_array("probability")[1].alias("p"))
    predicted = scored.toPandas().sort_values("row")["p"].to_numpy()
    told = {"seconds": spent, "trials": len(model.trialsTable())}
    spark.stop()
    return told, predicted


def _peer(name: str, folder: Path, seconds: float, seed: int) -> tuple[dict[str, Any], Any]:
    script = ROOT / "benchmarks" / "peers" / "study.py"
    with (folder / f"{name}.log").open("w") as log:
        done = subprocess.run(
            [PEERS, script, name, folder, str(seconds), str(seed)],
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=6 * seconds,
        )
    if done.returncode:
        raise RuntimeError((folder / f"{name}.log").read_text()[-3_000:])
    told = json.loads((folder / f"{name}.json").read_text())
    return told, np.load(folder / f"{name}.npy")


if __name__ == "__main__":
    main()
