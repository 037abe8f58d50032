"""Memory: a worker's peak is bounded by its block, whatever the size of the data set."""

from __future__ import annotations

import argparse

from common import generated, report, scratch, session

from sparkml_dist import BaggingClassifier, partition
from sparkml_dist.cluster.memory import resident_bytes


def _jvm_used(spark: object) -> float:
    runtime = spark.sparkContext._jvm.java.lang.Runtime.getRuntime()  # type: ignore[attr-defined]
    runtime.gc()
    return (runtime.totalMemory() - runtime.freeMemory()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard-rows", type=int, default=250_000)
    parser.add_argument("--learners", nargs="+", help="some of those below; all by default")
    arguments = parser.parse_args()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    learners = {
        "DecisionTree": DecisionTreeClassifier(max_depth=8, max_features=4),
        "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=10, early_stopping=False),
    }
    learners = {k: v for k, v in learners.items() if k in (arguments.learners or learners)}
    rows, growth, worst, drivers = [], [], 0.0, []
    with scratch() as folder:
        # A worker for each task: what one member left behind must not count for the next.
        spark = session("memory", **{"spark.python.worker.reuse": "false"})
        sets = {}
        for shards in (4, 40):  # ten times the data, the same shard
            frame = generated(spark, arguments.shard_rows * shards)
            sets[shards] = partition(frame, folder / str(shards), label="label", shards=shards)
        for name, learner in learners.items():
            peaks = {}
            for shards, data in sets.items():
                model = BaggingClassifier(
                    estimator=learner, numMembers=shards, method="pasting"
                ).fit(data)
                members = model.summary["members"]
                block = max(s.block_bytes for s in data.shards)
                over = max((m["peak_rss"] - m["base_rss"]) / block for m in members)
                peaks[shards] = max(m["peak_rss"] for m in members)
                worst = max(worst, over)
                drivers.append((shards, resident_bytes() / 2**20, _jvm_used(spark)))
                rows.append(
                    {
                        "learner": name,
                        "shards": shards,
                        "data MB": f"{sum(s.block_bytes for s in data.shards) / 1e6:,.0f}",
                        "largest block MB": f"{block / 1e6:.1f}",
                        "base RSS MB": f"{max(m['base_rss'] for m in members) / 1e6:.0f}",
                        "peak RSS MB": f"{peaks[shards] / 1e6:.0f}",
                        "(peak - base) / block": f"{over:.2f}",
                        "driver Python MB": f"{drivers[-1][1]:.0f}",
                        "driver JVM used MB": f"{drivers[-1][2]:.0f}",
                    }
                )
            growth.append(peaks[40] / peaks[4])
        spark.stop()
    report(
        "memory",
        "Peak resident memory of the Python workers of a fit, one member to a shard, shards of "
        f"{arguments.shard_rows:,} × 28; the interpreter's base is its resident memory with "
        "scikit-learn imported, before the block is read.",
        rows,
        target="peak ≤ base + 3 × largest block, and within 5% for ten times the data",
        measured=f"{worst:.2f} blocks at worst; ten times the data: "
        f"{max(growth) - 1:+.1%} at worst",
        met=worst <= 3 and max(growth) <= 1.05,
    )


if __name__ == "__main__":
    main()
