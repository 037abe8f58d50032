"""Parquet to Parquet: score_files against transform, MLlib's forest, and scikit-learn in RAM."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from common import alternating, generated, median, report, scratch, session
from ensemble_scoring import COLUMNS, processes

from sparkml_dist import BaggingClassifier, partition


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows to score")
    parser.add_argument("--train", type=int, default=200_000, help="rows to learn from")
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F
    from sklearn.tree import DecisionTreeClassifier

    cores, peak = 2, [0]
    with scratch() as folder:
        spark = session("scoring files", f"local[{cores}]")
        generated(spark, arguments.train).write.parquet(f"{folder}/train")
        generated(spark, arguments.rows, start=10**9).write.parquet(f"{folder}/test")
        train = spark.read.parquet(f"{folder}/train")
        assembler = VectorAssembler(inputCols=COLUMNS, outputCol="features")
        theirs = RandomForestClassifier(
            numTrees=arguments.trees, maxDepth=arguments.depth, seed=0
        ).fit(assembler.transform(train).select("features", "label"))
        shards = partition(train, folder / "d", label="label", shards=4)
        tree = DecisionTreeClassifier(max_depth=arguments.depth, max_features="sqrt")
        ours = BaggingClassifier(
            estimator=tree, numMembers=arguments.trees, modelDir=str(folder / "model")
        ).fit(shards)
        ours = ours.copy({ours.rawPredictionCol: ""})
        target = folder / "scored"

        def written(scored: Any) -> None:
            shutil.rmtree(target, ignore_errors=True)
            array = vector_to_array("probability").alias("probability")
            scored.select("label", "prediction", array).write.parquet(str(target))

        def files() -> None:
            found = ours.score_files(folder / "test", target, keep=["label"], overwrite=True)
            peak[0] = max(peak[0], found.peak_worker_rss)

        def accuracy() -> float:
            right = (F.col("prediction") == F.col("label")).cast("int")
            return float(spark.read.parquet(str(target)).agg(F.avg(right)).first()[0])

        def rows() -> Any:
            return spark.read.parquet(f"{folder}/test")

        actions = {
            "files": files,
            "ours": lambda: written(ours.transform(rows())),
            "mllib": lambda: written(theirs.transform(assembler.transform(rows()))),
        }
        found = {}
        for name, action in actions.items():  # also warms up
            action()
            found[name] = accuracy()
        with processes(cores, f"{folder}/test", f"{folder}/model") as pipes:

            def ask() -> None:
                for pipe in pipes:
                    pipe.send("sklearn")
                for pipe in pipes:
                    pipe.recv()

            times = alternating(arguments.repeats, **actions, sklearn=ask)
        spark.stop()
    found["sklearn"] = found["ours"]
    names = {
        "files": "sparkml_dist, score_files, Parquet to Parquet",
        "ours": "sparkml_dist, transform, Parquet to Parquet",
        "mllib": "MLlib RandomForestClassificationModel, transform, Parquet to Parquet",
        "sklearn": "scikit-learn predict_proba in RAM, a process a core",
    }
    seconds = {name: median(t) for name, t in times.items()}
    table = [
        {
            "what": names[name],
            "seconds": f"{s:.2f}",
            "thousand rows/s/core": f"{arguments.rows / s / 1e3 / cores:.0f}",
            "× MLlib": f"{seconds['mllib'] / s:.1f}",
            "× scikit-learn": f"{seconds['sklearn'] / s:.2f}",
            "accuracy": f"{found[name]:.4f}",
        }
        for name, s in seconds.items()
    ]
    inside, over = seconds["sklearn"] / seconds["files"], seconds["mllib"] / seconds["files"]
    report(
        "scoring_files",
        f"{arguments.rows:,} rows × 28 scored by {arguments.trees} trees of depth "
        f"{arguments.depth}, local[{cores}], medians of {arguments.repeats} taken in turn, each "
        "from Parquet to Parquet with label, prediction and probability; scikit-learn has the "
        f"trees of ours as one forest and its rows in RAM. Largest worker: {peak[0] / 1e6:.0f} MB.",
        table,
        target="≥ 0.8 of scikit-learn's predict_proba per core; ≥ 12 × MLlib's forest",
        measured=f"{inside:.2f}; {over:.1f}×",
        met=inside >= 0.8 and over >= 12,
    )


if __name__ == "__main__":
    main()
