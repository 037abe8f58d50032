"""Peak memory of the workers that make transitions and learn from them, at ten times the log."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
from common import report, scratch, session

from sparkml_dist import BatchQLearning, DeepQLearning, FittedQIteration, Transitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEPS, WIDTH = 20, 8
STATE = [f"x{i}" for i in range(WIDTH)]
SCHEMA = "episode long, step int, action int, reward double, over boolean, "
SCHEMA += ", ".join(f"{n} double" for n in STATE)


def logged(spark: SparkSession, rows: int) -> DataFrame:
    """Make episodes of random states, of 20 steps each, in batches inside Spark."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            number = batch.column(0).to_numpy()
            if not len(number):
                continue
            rng = np.random.default_rng([3, int(number[0])])
            states, action = rng.normal(size=(len(number), WIDTH)), rng.integers(0, 3, len(number))
            step = number % STEPS
            columns: list[Any] = [number // STEPS, step.astype(np.int32), action.astype(np.int32)]
            columns += [states[:, 0] * (action - 1) + rng.normal(size=len(number))]
            columns += [step == STEPS - 1, *states.T]
            names = ["episode", "step", "action", "reward", "over", *STATE]
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names)

    return spark.range(0, rows, 1, 8).mapInArrow(make, SCHEMA)


@contextmanager
def peak_of_workers(found: dict[str, float], name: str) -> Iterator[None]:
    """Note the largest peak, in MiB, of a Python process below this one while the block runs."""
    largest, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            for process in psutil.Process().children(recursive=True):
                try:
                    if "python" not in process.name():
                        continue
                    status = Path(f"/proc/{process.pid}/status").read_text()
                except (OSError, psutil.Error):
                    continue
                peaks = [x for x in status.splitlines() if x.startswith("VmHWM")]
                if peaks:
                    largest[0] = max(largest[0], int(peaks[0].split()[1]) / 2**10)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        found[name] = largest[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard-rows", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=2, help="of the small log")
    parser.add_argument("--memory-per-task", default="64m", help="bounds regressors in memory")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A worker for each task: what one left behind must not count for the next.
    spark = session("reinforcement_memory", **{"spark.python.worker.reuse": "false"})
    sizes = {n: n * args.shard_rows for n in (args.shards, 10 * args.shards)}
    peaks: dict[int, dict[str, float]] = {}
    learners: dict[str, Any] = {
        "BatchQLearning, kmeans": BatchQLearning(discretizer="kmeans", numCells=50),
        "FittedQIteration": FittedQIteration(maxIter=2, memoryPerTask=args.memory_per_task),
        "DeepQLearning, dqn": DeepQLearning(algorithm="dqn", epochs=1, numRanks=1),
    }
    with scratch() as folder:
        for shards, rows in sizes.items():
            found = peaks[shards] = {}
            with peak_of_workers(found, "Transitions"):
                data = Transitions(
                    logged(spark, rows),
                    folder / str(shards),
                    episode="episode",
                    step="step",
                    state=STATE,
                    action="action",
                    reward="reward",
                    terminated="over",
                    shards=shards,
                )
            for name, learner in learners.items():
                with peak_of_workers(found, name):
                    learner.fit(data)
                print(shards, name, round(found[name]), flush=True)
    small, large = peaks.values()
    growth = {name: large[name] / small[name] - 1 for name in small}
    most = max(growth.values())
    report(
        "reinforcement_memory",
        f"Peak resident memory of a Python worker: logs of {sizes[args.shards]:,} and "
        f"{sizes[10 * args.shards]:,} rows, of {WIDTH} features, in shards of {args.shard_rows:,}; "
        f"fitted Q iteration with memoryPerTask {args.memory_per_task}, 2 iterations of its "
        "default trees; one epoch of one rank. The kernel's high-water mark of every process that "
        "the session started, with its imports.",
        [
            {
                "work": name,
                "MiB": f"{small[name]:.0f}",
                "MiB at ten times the log": f"{large[name]:.0f}",
                "growth": f"{growth[name]:+.1%}",
            }
            for name in small
        ],
        target="within 5% at ten times the log",
        measured=f"{most:+.1%} at most",
        met=most <= 0.05,
    )


if __name__ == "__main__":
    main()
