"""Memory: a worker's peak is bounded by its block, whatever the size of the data set."""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from common import generated, report, scratch, session

from sparkml_dist import BaggingClassifier, open_partitioned, partition
from sparkml_dist.cluster.memory import PeakMemory, resident_bytes
from sparkml_dist.learners.learner import Traits


def _jvm_used(spark: object) -> float:
    runtime = spark.sparkContext._jvm.java.lang.Runtime.getRuntime()  # type: ignore[attr-defined]
    runtime.gc()
    return (runtime.totalMemory() - runtime.freeMemory()) / 2**20


def _steps(learner: Any, location: str) -> tuple[int, int]:
    """Return the peaks of reading a block, and of scikit-learn's own ``fit`` beside that block."""
    data, dtype = open_partitioned(location), Traits.of(learner).dtype
    with PeakMemory() as reading:
        block = data.read_block(0, dtype=dtype)
    with PeakMemory() as fitting:
        learner.fit(block.X, block.y)
    return reading.peak - reading.base, fitting.peak - fitting.base


def _alone(learner: Any, location: str) -> tuple[int, int]:
    """Run `_steps` in a process of its own, without Spark."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_steps, learner, location).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard-rows", type=int, nargs="+", default=[100_000, 250_000])
    parser.add_argument("--shards", type=int, default=4, help="of the small data set")
    parser.add_argument("--learners", nargs="+", help="some of those below; all by default")
    arguments = parser.parse_args()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    learners = {
        "DecisionTree": DecisionTreeClassifier(max_depth=8, max_features=4),
        "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=10, early_stopping=False),
    }
    learners = {k: v for k, v in learners.items() if k in (arguments.learners or learners)}
    rows: list[dict[str, Any]] = []
    growth, worst = [], 0.0
    few, many = arguments.shards, 10 * arguments.shards  # ten times the data, the same shard
    # A worker for each task: what one member left behind must not count for the next.
    spark = session("memory", **{"spark.python.worker.reuse": "false"})
    for shard_rows in arguments.shard_rows:
        with scratch() as folder:
            sets = {}
            for shards in (few, many):
                frame = generated(spark, shard_rows * shards)
                sets[shards] = partition(frame, folder / str(shards), label="label", shards=shards)
            for name, learner in learners.items():
                read, fit = _alone(learner, sets[few].location)
                peaks = {}
                for shards, data in sets.items():
                    model = BaggingClassifier(
                        estimator=learner, numMembers=shards, method="pasting"
                    ).fit(data)
                    members = model.summary["members"]
                    # As the learner takes it: what wants float64 has it read as float64.
                    block = max(m["block_bytes"] for m in members)
                    single = max(s.block_bytes for s in data.shards)
                    peaks[shards] = max(m["peak_rss"] for m in members)
                    over = max(m["peak_rss"] - m["base_rss"] for m in members)
                    worst = max(worst, over / block)
                    rows.append(
                        {
                            "learner": name,
                            "shard rows": f"{shard_rows:,}",
                            "shards": shards,
                            "data MB": f"{sum(s.block_bytes for s in data.shards) / 1e6:,.0f}",
                            "block MB": f"{block / 1e6:.1f}",
                            "in float32 MB": f"{single / 1e6:.1f}",
                            "base RSS MB": f"{max(m['base_rss'] for m in members) / 1e6:.0f}",
                            "peak RSS MB": f"{peaks[shards] / 1e6:.0f}",
                            "(peak - base) / block": f"{over / block:.2f}",
                            "of float32": f"{over / single:.2f}",
                            "reading alone / block": f"{read / block:.2f}",
                            "fit alone, beside it / block": f"{fit / block:.2f}",
                            "driver Python MB": f"{resident_bytes() / 2**20:.0f}",
                            "driver JVM used MB": f"{_jvm_used(spark):.0f}",
                        }
                    )
                growth.append(peaks[many] / peaks[few])
    spark.stop()
    report(
        "memory",
        "Peak resident memory of the Python workers of a fit, one member to a shard of so many "
        "rows × 28; the interpreter's base is its resident memory with scikit-learn imported, "
        "before the block is read. A block is in the learner's type: HistGradientBoosting computes "
        "in float64 and would copy float32. Reading, and scikit-learn's own `fit` beside "
        "the block it read, are measured in a plain process without Spark; they do not add up, for "
        "what reading took beyond the block is given back before the fit.",
        rows,
        target="peak ≤ base + 3 × largest block, and within 5% for ten times the data",
        measured=f"{worst:.2f} blocks at worst; "
        f"ten times the data: {max(growth) - 1:+.1%} at worst",
        met=worst <= 3 and max(growth) <= 1.05,
    )


if __name__ == "__main__":
    main()
