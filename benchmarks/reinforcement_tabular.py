"""Exact tabular Q-learning against the grouped count alone in Spark SQL, and memory by size."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from common import alternating, median, report, scratch, session

from sparkml_dist import BatchQLearning, Transitions
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.reinforcement.tabular.grouped_counts import counted_block

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STATES, ACTIONS = 2_000, 8
SCHEMA = "s int, a int, r double, n int, t boolean"


def transitions(spark: SparkSession, rows: int, partitions: int) -> DataFrame:
    """Make random transitions of a process of 2,000 states, in batches inside Spark."""
    rng = np.random.default_rng(0)
    follows = rng.integers(0, STATES, (STATES, ACTIONS, 4))
    rewards = rng.normal(size=(STATES, ACTIONS))

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            n = batch.num_rows
            draw = np.random.default_rng([1, int(batch.column(0)[0].as_py())]) if n else None
            if draw is None:
                continue
            s, a = draw.integers(0, STATES, n), draw.integers(0, ACTIONS, n)
            after = follows[s, a, draw.integers(0, 4, n)]
            reward = rewards[s, a] + draw.normal(size=n)
            columns: list[Any] = [s.astype(np.int32), a.astype(np.int32), reward]
            columns += [after.astype(np.int32), draw.random(n) < 0.01]
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], list("sarnt"))

    return spark.range(0, rows, 1, partitions).mapInArrow(make, SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=16)
    args = parser.parse_args()
    spark = session("reinforcement_tabular")
    learner = BatchQLearning(
        stateCols=["s"],
        actionCol="a",
        rewardCol="r",
        nextStateCols=["n"],
        terminatedCol="t",
        discount=0.95,
    )
    with scratch() as folder:
        transitions(spark, args.rows, args.partitions).write.parquet(str(folder / "log"))
        log = spark.read.parquet(str(folder / "log"))

        def counted() -> Any:
            # What the learner needs, as plain SQL forms it: the rows and the rewards of each group.
            return log.groupBy("s", "a", "n", "t").agg({"*": "count", "r": "sum"}).toArrow()

        def count_only() -> Any:
            return log.groupBy("s", "a", "n", "t").count().toArrow()

        found: list[Any] = []
        times = alternating(
            args.repeats,
            ours=lambda: found.append(learner.fit(log)),
            sums=counted,
            count=count_only,
        )
        took = {name: median(values) for name, values in times.items()}
        memory = {}
        for size in (args.rows // 100, args.rows // 10):
            made = Transitions(
                transitions(spark, size, args.partitions),
                state="s",
                action="a",
                reward="r",
                nextState="n",
                terminated="t",
                shards=4,
            )

            def work(shard: int, made: Any = made) -> dict[str, Any]:
                parts = (counted_block(b, None, {"r": 20}, 1) for b in made.blocks(shard))
                return {"groups": sum(part.num_rows for part in parts)}

            outcomes = run_tasks(spark, range(len(made.shards)), work, description="count")
            memory[size] = max(o.peak_rss for o in outcomes) / 2**20
        small, large = memory.values()
        ratio = took["ours"] / took["count"]
        report(
            "reinforcement_tabular",
            f"Exact values of {STATES:,} states and {ACTIONS} actions from {args.rows:,} "
            "transitions in Parquet.",
            [
                {
                    "by": by,
                    "seconds": f"{took[name]:.2f}",
                    "of the count": f"{took[name] / took['count']:.2f}",
                }
                for by, name in (
                    ("BatchQLearning.fit", "ours"),
                    ("groupBy of Spark SQL, count", "count"),
                    ("the same, count and sum of rewards", "sums"),
                )
            ],
            target="at most 1.3 times the grouped count alone; memory of a task that does not grow",
            measured=f"{ratio:.2f}; {small:.0f} MiB, {large:.0f} MiB for ten times the rows",
            met=ratio <= 1.3 and large <= 1.05 * small,
            note=f"Solving: {found[-1].summary['seconds']['solving']} s, "
            f"{found[-1].summary['iterations']} sweeps.",
        )


if __name__ == "__main__":
    main()
