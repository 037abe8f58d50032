"""Accuracy: eight learners on eight shards against one on all rows."""

from __future__ import annotations

import argparse

import numpy as np
from common import median, report, scratch, session

from sparkml_dist import BaggingClassifier, partition


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    import pandas as pd
    from sklearn.datasets import make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    rows, gaps = [], []
    with scratch() as folder:
        spark = session("accuracy")
        for seed in range(arguments.repeats):
            X, y = make_classification(
                n_samples=arguments.rows + 100_000,
                n_features=28,
                n_informative=20,
                n_redundant=4,
                n_clusters_per_class=16,
                flip_y=0.05,
                class_sep=0.8,
                random_state=seed,
            )
            X = X.astype(np.float32)
            held = slice(arguments.rows, None)
            train, test = (
                pd.DataFrame(X[part], columns=[f"f{i}" for i in range(28)]).assign(label=y[part])
                for part in (slice(0, arguments.rows), held)
            )
            names = [f"{folder}/{n}-{seed}.parquet" for n in ("train", "test")]
            for frame, name in zip((train, test), names, strict=True):
                frame.to_parquet(name, row_group_size=65_536)
            learner = HistGradientBoostingClassifier(max_iter=300, random_state=seed)
            whole = learner.fit(X[: arguments.rows], y[: arguments.rows])
            one = roc_auc_score(y[held], whole.predict_proba(X[held])[:, 1])
            data = partition(
                spark.read.parquet(names[0]),
                folder / f"d{seed}",
                label="label",
                shards=8,
                seed=seed,
            )
            model = BaggingClassifier(
                estimator=HistGradientBoostingClassifier(max_iter=300),
                numMembers=8,
                method="pasting",
                seed=seed,
            ).fit(data)
            scored = _scores(model, spark.read.parquet(names[1]))
            eight = roc_auc_score(scored["label"], scored["p"])
            gaps.append(one - eight)
            rows.append(
                {
                    "seed": seed,
                    "one on all rows": f"{one:.4f}",
                    "eight on eight shards": f"{eight:.4f}",
                    "difference": f"{eight - one:+.4f}",
                }
            )
        spark.stop()
    gap = median(gaps)
    report(
        "accuracy",
        f"AUC on 100,000 held-out rows; {arguments.rows:,} × 28, 16 clusters per class, 5% of the "
        "labels turned; HistGradientBoostingClassifier(max_iter=300).",
        rows,
        target="within 0.0015 AUC of one learner on all rows",
        measured=f"{-gap:+.4f}",
        met=gap <= 0.0015,
    )


def _scores(model: object, frame: object) -> object:
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    scored = model.transform(frame)  # type: ignore[attr-defined]
    return scored.select("label", vector_to_array(F.col("probability"))[1].alias("p")).toPandas()


if __name__ == "__main__":
    main()
