"""The input of a deep network: rows/s against peers, share of waiting, memory against size."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from common import alternating, generated, median, report, scratch, session

from sparkml_dist import PartitionedDataset, open_partitioned, partition
from sparkml_dist.deep.input.pipeline import BatchStream
from sparkml_dist.deep.input.plan import default_lanes, plan_epoch
from sparkml_dist.deep.input.tf_dataset import as_tf_dataset

BATCH = 1024
PEER_ROWS = 40_000
EPOCHS = 3


def stream(data: PartitionedDataset, batch: int) -> BatchStream:
    lanes = default_lanes(1, batch)
    groups = [s.row_groups for s in data.shards]
    plan = plan_epoch(groups, lanes=lanes, batch_size=batch, seed=0, epoch=0)
    return BatchStream(data.read_block, plan, range(lanes), data.n_features)


def pipeline(data: PartitionedDataset, batch: int, take: Callable[..., Any] = len) -> int:
    rows = 0
    with stream(data, batch) as batches:
        for b in batches:
            take(b.x)
            rows += b.rows
    return rows


def plain_pyarrow(data: PartitionedDataset) -> int:
    """Read the same columns into the same float32 matrices, file by file, in order."""
    rows = 0
    for shard in data.shards:
        table = pq.read_table(
            f"{data.location}/{shard.file}", columns=[*data.feature_names, "_label"]
        )
        X = np.empty((len(table), data.n_features), np.float32)
        for j, name in enumerate(data.feature_names):
            X[:, j] = table.column(name).to_numpy()
        rows += len(X) + 0 * len(table.column("_label").to_numpy())
    return rows


def row_by_row(data: PartitionedDataset, batch: int) -> int:
    """Feed a tf.data pipeline from a generator of rows."""
    import tensorflow as tf

    block = data.read_block(0)

    def rows() -> Iterator[Any]:
        for i in range(PEER_ROWS):
            yield block.X[i], block.y[i]

    signature = (
        tf.TensorSpec((data.n_features,), tf.float32),
        tf.TensorSpec((), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(rows, output_signature=signature)
    return sum(len(x) for x, _ in dataset.batch(batch).prefetch(4))


def whole_batches(data: PartitionedDataset, batch: int) -> int:
    """Feed tf.data from the pipeline's batches."""
    return sum(len(x) for x, _, _ in as_tf_dataset(data, batch))


def speed(location: str, repeats: int) -> None:
    """Print rows/s of each way, one after the other; in a process of its own."""
    from sparkml_dist.deep.train.loop import as_tensor

    data = open_partitioned(location)
    ways: dict[str, Callable[[], Any]] = {
        "plain": partial(plain_pyarrow, data),
        "numpy": partial(pipeline, data, BATCH),
        "numpy_256": partial(pipeline, data, 256),
        "tensors": partial(pipeline, data, BATCH, as_tensor),
        "tf_data": partial(whole_batches, data, BATCH),
        "rows": partial(row_by_row, data, BATCH),
    }
    for way in ways.values():
        way()
    for name, times in alternating(repeats, **ways).items():
        rows = PEER_ROWS if name == "rows" else data.n_rows
        print("SPEED", name, rows / median(times))


def peak(location: str) -> None:
    """Print the highest resident memory of a process that does nothing but stream."""
    import resource

    pipeline(open_partitioned(location), BATCH)
    print("PEAK", "mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def child(role: str, *arguments: Any) -> dict[str, float]:
    """Run this script in a fresh process and return what it printed."""
    command = [sys.executable, __file__, "--child", role, *map(str, arguments)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in out.splitlines() if line.startswith(role.upper())]
    return {name: float(value) for _, name, value in words}


def waiting(data: PartitionedDataset, folder: Path, batch: int) -> float:
    """Return the share of the ranks' training time that they waited for data."""
    from sparkml_dist import KerasClassifier

    learner = KerasClassifier(
        builder="mlp",
        numRanks=2,
        epochs=EPOCHS,
        batchSize=batch,
        modelDir=tempfile.mkdtemp(dir=folder),
        overwrite=True,
    )
    ranks = learner.fit(data).summary["ranks"]
    return max(r["waited_seconds"] / r["train_seconds"] for r in ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        role, location, *rest = arguments.child
        if role == "speed":
            speed(location, int(rest[0]))
        else:
            peak(location)
        return
    with scratch() as folder:
        spark = session("deep_input")
        rows, more_rows = arguments.rows, 2 * arguments.rows
        cut = partial(partition, label="label")
        data = cut(generated(spark, rows), folder / "data", shards=8)
        # Small row groups, so that the smaller one has several times the rows that are held.
        small, big = (
            cut(generated(spark, n), folder / str(n), memory_per_task="8m")
            for n in (more_rows // 10, more_rows)
        )
        shares = {batch: waiting(small, folder, batch) for batch in (256, BATCH)}
        spark.stop()
        found = child("speed", data.location, arguments.repeats)
        peaks = [median([child("peak", d.location)["mb"] for _ in range(3)]) for d in (small, big)]
    plain, by_row = found["plain"], found["rows"]
    names = {
        "plain": "plain pyarrow into numpy, in order, no batches",
        "numpy": f"the pipeline, batches of {BATCH}",
        "numpy_256": "the pipeline, batches of 256",
        "tensors": f"the pipeline to tensors, batches of {BATCH}",
        "tf_data": f"the pipeline through tf.data, batches of {BATCH}",
        "rows": "tf.data.Dataset.from_generator over rows",
    }
    table = [
        {
            "what": names[name],
            "million rows/s": f"{value / 1e6:.3f}",
            "× plain pyarrow": f"{value / plain:.2f}",
            "× tf.data by rows": f"{value / by_row:.1f}",
        }
        for name, value in found.items()
    ]
    less, more = peaks
    growth = more / less - 1
    worst = max(shares.values())
    met = found["numpy"] >= max(0.5 * plain, 10 * by_row) and growth <= 0.05 and worst <= 0.05
    report(
        "deep_input",
        f"{rows:,} rows × 28 floats in shards to shuffled batches in one process, medians of "
        f"{arguments.repeats} in turn; the time that two ranks of `KerasClassifier` (`mlp`, "
        f"{EPOCHS} epochs of {more_rows // 10:,} rows) wait for data; the peak of a process that "
        "streams.",
        table,
        target="≥ 0.5 × plain pyarrow and ≥ 10 × tf.data by rows; waiting ≤ 5% of the training; "
        "peak memory within 5% at ten times the rows",
        measured=f"{found['numpy'] / plain:.2f} ×, {found['numpy'] / by_row:.0f} ×; waiting "
        + ", ".join(f"{100 * s:.1f}% (batch {b})" for b, s in shares.items())
        + f"; {less:.0f} MiB at {more_rows // 10:,} rows, {more:.0f} MiB at {more_rows:,} "
        f"({growth:+.1%})",
        met=met,
        note="The share of waiting is the larger one of the two ranks'; the time is that of all "
        "epochs, with what is done at their ends.",
    )


if __name__ == "__main__":
    main()
