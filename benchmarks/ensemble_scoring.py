"""Scoring 50 trees, against MLlib's forest and scikit-learn in RAM."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from common import alternating, generated, median, report, scratch, session

from sparkml_dist import BaggingClassifier, load_model, partition

COLUMNS = [f"f{i}" for i in range(28)]


def process(pipe: Connection, rows: str, model: str, share: int, shares: int) -> None:
    """Hold a share of the rows and the members in RAM; score them whenever asked."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn.ensemble import RandomForestClassifier

    from sparkml_dist.cluster.threads import limit_threads

    table = pq.read_table(rows, columns=COLUMNS)
    X = np.column_stack([table.column(c).to_numpy() for c in COLUMNS]).astype(np.float32)
    X = np.ascontiguousarray(X[share::shares])
    found = load_model(model)
    trees = found._bank().load().learners
    forest = RandomForestClassifier(len(trees), n_jobs=1)
    forest.estimators_, forest.classes_, forest.n_classes_ = trees, trees[0].classes_, 2
    forest.n_outputs_, forest.n_features_in_ = 1, X.shape[1]
    predict = found._scorer().load()
    ways: dict[str, Any] = {
        "sklearn": forest.predict_proba,
        "blocks": lambda X: [predict(X[at : at + 10_000]) for at in range(0, len(X), 10_000)],
    }
    # The same trees, so that only the ways to ask them are compared.
    assert np.abs(forest.predict_proba(X[:1000]) - predict(X[:1000])).max() < 1e-12
    with limit_threads(1):
        for way in ways.values():
            way(X[:20_000])
        pipe.send("ready")
        while way_name := pipe.recv():
            ways[way_name](X)
            pipe.send("done")


@contextmanager
def processes(number: int, rows: str, model: str) -> Iterator[list[Connection]]:
    """Start one process for each core."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for share in range(number):
        ours, theirs = context.Pipe()
        started.append(context.Process(target=process, args=(theirs, rows, model, share, number)))
        started[-1].start()
        pipes.append(ours)
    try:
        for pipe in pipes:
            pipe.recv()
        yield pipes
    finally:
        for pipe in pipes:
            pipe.send("")
        for one in started:
            one.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="rows to score")
    parser.add_argument("--train", type=int, default=200_000, help="rows to learn from")
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import functions as F
    from sklearn.tree import DecisionTreeClassifier

    cores = 2
    with scratch() as folder:
        spark = session("ensemble scoring", f"local[{cores}]")
        generated(spark, arguments.train).write.parquet(f"{folder}/train")
        generated(spark, arguments.rows, start=10**9).write.parquet(f"{folder}/test")
        train, test = (spark.read.parquet(f"{folder}/{n}") for n in ("train", "test"))
        assembler = VectorAssembler(inputCols=COLUMNS, outputCol="features")
        theirs = RandomForestClassifier(
            numTrees=arguments.trees, maxDepth=arguments.depth, seed=0
        ).fit(assembler.transform(train).select("features", "label"))
        shards = partition(train, folder / "d", label="label", shards=4)
        tree = DecisionTreeClassifier(max_depth=arguments.depth, max_features="sqrt")
        ours = BaggingClassifier(
            estimator=tree, numMembers=arguments.trees, modelDir=str(folder / "model")
        ).fit(shards)
        vectors = assembler.transform(test).select("features", "label").cache()
        rows = test.cache()
        vectors.count(), rows.count()

        def consume(scored: Any) -> None:
            scored.agg(
                F.sum("prediction"), F.sum((F.col("prediction") == F.col("label")).cast("int"))
            ).collect()

        def accuracy(scored: Any) -> float:
            right = (F.col("prediction") == F.col("label")).cast("int")
            return float(scored.agg(F.avg(right)).first()[0])

        found = {
            "mllib": accuracy(theirs.transform(vectors)),
            "ours": accuracy(ours.transform(rows)),
        }
        with processes(cores, f"{folder}/test", f"{folder}/model") as pipes:

            def ask(way: str) -> None:
                for pipe in pipes:
                    pipe.send(way)
                for pipe in pipes:
                    pipe.recv()

            times = alternating(
                arguments.repeats,
                mllib=lambda: consume(theirs.transform(vectors)),
                ours=lambda: consume(ours.transform(rows)),
                sklearn=lambda: ask("sklearn"),
                blocks=lambda: ask("blocks"),
            )
        spark.stop()
    found |= {"sklearn": found["ours"], "blocks": found["ours"]}
    names = {
        "mllib": "MLlib RandomForestClassificationModel, transform",
        "ours": "sparkml_dist, transform",
        "sklearn": "scikit-learn predict_proba in RAM, a process a core",
        "blocks": "sparkml_dist's scorer in RAM, a process a core",
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
    over_mllib = seconds["mllib"] / seconds["ours"]
    whole, inside = seconds["sklearn"] / seconds["ours"], seconds["sklearn"] / seconds["blocks"]
    report(
        "ensemble_scoring",
        f"{arguments.rows:,} rows × 28 scored by {arguments.trees} trees of depth "
        f"{arguments.depth}, local[{cores}], medians of {arguments.repeats} taken in turn. "
        "Spark's rows are cached, MLlib's are assembled beforehand; scikit-learn has the trees of "
        "ours as one forest. In RAM, our scorer takes blocks of 10,000 rows, as it gets them from "
        "Spark's cache, and scikit-learn all rows at once.",
        table,
        target="≥ 3× the rows/s of MLlib's forest; ≥ 0.8 of scikit-learn's predict_proba per core",
        measured=f"{over_mllib:.1f}×; {whole:.2f} for all of transform, {inside:.2f} in workers",
        met=over_mllib >= 3 and whole >= 0.8,
    )


if __name__ == "__main__":
    main()
