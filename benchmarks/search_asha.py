"""ASHA on shards against the same random search without it: time to the same best score."""

from __future__ import annotations

import argparse
from typing import Any

from common import generated, median, report, scratch, seconds, session
from scipy.stats import loguniform, randint

from sparkml_dist import HyperparameterSearch, PartitionedDataset, partition

TARGET = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--shards", type=int, default=27)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F
    from sklearn.metrics import roc_auc_score

    rows: list[dict[str, Any]] = []
    with scratch() as folder:
        spark = session("search_asha")
        data = partition(
            generated(spark, arguments.rows),
            folder / "data",
            label="label",
            shards=arguments.shards,
        )
        held = generated(spark, 100_000, start=arguments.rows).cache()

        def area(model: Any) -> float:
            scored = model.transform(held)
            shown = scored.select("label", vector_to_array(F.col("probability"))[1].alias("p"))
            found = shown.toPandas()
            return float(roc_auc_score(found["label"], found["p"]))

        _search(data, "none", 2, 0)  # starts the workers
        for run in range(arguments.repeats):
            for scheduler in ("asha", "none"):
                fitted: list[Any] = []
                wall = seconds(
                    lambda s=scheduler, f=fitted, r=run: f.append(
                        _search(data, s, arguments.trials, r)
                    )
                )
                model = fitted[0]
                fits = sum(r["fits"] for t in model.trialsTable() for r in t["rungs"])
                rows.append(
                    {
                        "run": run + 1,
                        "scheduler": scheduler,
                        "wall s": f"{wall:.1f}",
                        "fits": fits,
                        "best AUC held out": f"{model.bestScore:.5f}",
                        "AUC of its refit on new rows": f"{area(model):.5f}",
                    }
                )
                print(rows[-1], flush=True)
        spark.stop()
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    ratio = median([float(a["wall s"]) / float(b["wall s"]) for a, b in pairs])
    key = "AUC of its refit on new rows"
    behind = median([float(b[key]) - float(a[key]) for a, b in pairs])
    report(
        "search_asha",
        f"{arguments.trials} random settings of HistGradientBoostingClassifier, the same for both, "
        f"on {arguments.rows:,} × 28 in {arguments.shards} shards: ASHA from one shard to all, "
        "against a fit on every shard for every setting. The refit on all shards is part of the "
        "time.",
        rows,
        target=f"≤ {TARGET} of the time, the same score ± .001",
        measured=f"{ratio:.3f} of the time, {behind:+.5f} behind",
        met=ratio <= TARGET and behind <= 0.001,
    )


def _search(data: PartitionedDataset, scheduler: str, trials: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    space = {
        "learning_rate": loguniform(0.02, 0.5),
        "max_leaf_nodes": randint(7, 64),
        "min_samples_leaf": randint(5, 100),
        "l2_regularization": loguniform(1e-3, 10),
        "max_iter": randint(30, 120),
    }
    return HyperparameterSearch(
        estimator=HistGradientBoostingClassifier(early_stopping=False),
        space=space,
        numTrials=trials,
        sampler="random",
        scheduler=scheduler,
        metric="auc",
        seed=seed,
    ).fit(data)


if __name__ == "__main__":
    main()
