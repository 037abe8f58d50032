"""Parquet to Parquet by a network: score_files against transform, and model.predict in RAM."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from common import alternating, generated, median, report, scratch, session
from ensemble_scoring import COLUMNS

from sparkml_dist import KerasClassifier, load_model, partition

CORES = 2
NAMES = {
    "files": "sparkml_dist, score_files, Parquet to Parquet",
    "ours": "sparkml_dist, transform, Parquet to Parquet",
    "predict": "Keras, model.predict in RAM, a process a core",
    "peer": "Keras and pyarrow, Parquet to Parquet, a process a core",
}


def _process(pipe: Connection, rows: str, model: str, target: str, share: int) -> None:
    """Hold a share of the files; score them with one thread whenever asked."""
    os.environ |= {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow"}
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tensorflow as tf

    from sparkml_dist.deep.scoring.forward import batch_rows

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    pa.set_cpu_count(1)
    found = load_model(model)
    network, scorer = found.to_keras(), found._scorer()
    size = batch_rows(scorer.inputs)
    files = sorted(f for f in os.listdir(rows) if f.endswith(".parquet"))[share::CORES]

    def matrix(table: Any) -> Any:
        X = np.empty((len(table), len(COLUMNS)), np.float32)
        for j, column in enumerate(COLUMNS):
            X[:, j] = table.column(column).to_numpy()
        return X

    def scored() -> None:
        os.makedirs(target, exist_ok=True)
        for file in files:
            table = pq.read_table(f"{rows}/{file}", columns=[*COLUMNS, "label"])
            proba = scorer.probabilities(network.predict(matrix(table), size, verbose=0))
            columns = {
                "label": table.column("label"),
                "prediction": proba.argmax(axis=1).astype(np.float64),
                "probability": pa.array(list(proba.astype(np.float64))),
            }
            pq.write_table(pa.table(columns), f"{target}/{file}")

    X = np.concatenate([matrix(pq.read_table(f"{rows}/{f}", columns=COLUMNS)) for f in files])
    ways = {"predict": lambda: network.predict(X, batch_size=size, verbose=0), "peer": scored}
    # The same network, so that only the ways to ask it are compared.
    ours = scorer.load()(X[:5000])
    assert np.abs(scorer.probabilities(network.predict(X[:5000], verbose=0)) - ours).max() < 1e-5
    network.predict(X[:20_000], batch_size=size, verbose=0)
    pipe.send("ready")
    while way := pipe.recv():
        ways[way]()
        pipe.send("done")


@contextmanager
def _processes(*given: str) -> Iterator[list[Connection]]:
    """Start one process for each core."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for share in range(CORES):
        ours, theirs = context.Pipe()
        started.append(context.Process(target=_process, args=(theirs, *given, share)))
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
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to score")
    parser.add_argument("--times", type=int, default=5, help="how many more for the memory")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    from pyspark.ml.functions import vector_to_array

    with scratch() as folder:
        spark = session("scoring files by a network", f"local[{CORES}]")
        generated(spark, 50_000).write.parquet(f"{folder}/train")
        generated(spark, arguments.rows, start=10**9).write.parquet(f"{folder}/test")
        more = arguments.rows * arguments.times
        generated(spark, more, start=10**9).write.parquet(f"{folder}/more")
        shards = partition(spark.read.parquet(f"{folder}/train"), folder / "d", label="label")
        learner = KerasClassifier(builder="mlp", numRanks=1, epochs=1, batchSize=256)
        model = learner.fit(shards)
        model.save(str(folder / "model"))
        model = model.copy({model.rawPredictionCol: ""})
        target = folder / "scored"

        def files(name: str = "test") -> int:
            scored = model.score_files(folder / name, target, keep=["label"], overwrite=True)
            return int(scored.peak_worker_rss)

        def rows() -> None:
            shutil.rmtree(target, ignore_errors=True)
            scored = model.transform(spark.read.parquet(f"{folder}/test"))
            array = vector_to_array("probability").alias("probability")
            scored.select("label", "prediction", array).write.parquet(str(target))

        rows()  # also warms up
        small, large = files(), files("more")
        given = (f"{folder}/test", f"{folder}/model", f"{folder}/peer")
        with _processes(*given) as pipes:

            def ask(way: str) -> None:
                for pipe in pipes:
                    pipe.send(way)
                for pipe in pipes:
                    pipe.recv()

            times = alternating(
                arguments.repeats,
                files=files,
                ours=rows,
                predict=lambda: ask("predict"),
                peer=lambda: ask("peer"),
            )
        spark.stop()
    seconds = {name: median(t) for name, t in times.items()}
    table = [
        {
            "what": NAMES[name],
            "seconds": f"{s:.2f}",
            "thousand rows/s/core": f"{arguments.rows / s / 1e3 / CORES:.0f}",
            "× model.predict": f"{seconds['predict'] / s:.2f}",
        }
        for name, s in seconds.items()
    ]
    ratio, growth = seconds["predict"] / seconds["files"], large / small
    report(
        "scoring_files_network",
        f"{arguments.rows:,} rows × 28 scored by the built-in `mlp` (256 and 128 units), "
        f"local[{CORES}], one thread and batches of 2,048 rows everywhere, medians of "
        f"{arguments.repeats} taken in turn; from Parquet to Parquet with label, prediction and "
        "probability, but for `model.predict`, which has its rows in RAM and writes nothing. "
        f"Largest worker of `score_files`: {small / 1e6:.0f} MB, and {large / 1e6:.0f} MB with "
        f"{arguments.times} times the rows in as many files.",
        table,
        target="≥ 0.8 of model.predict on the same cores; memory that does not grow (≤ 1.05)",
        measured=f"{ratio:.2f}; {growth:.2f}",
        met=ratio >= 0.8 and growth <= 1.05,
    )


if __name__ == "__main__":
    main()
