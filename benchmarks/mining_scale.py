"""Time and worker memory of itemsets from one to ten million generated baskets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from common import median, report, scratch, seconds, session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

TARGET = 1.25
MEMORY = 2**30
ITEMS, PATTERNS, PATTERN_LENGTH, BASKET_LENGTH = 1000, 2000, 4, 10


def quest(spark: SparkSession, baskets: int, partitions: int) -> DataFrame:
    """Make baskets in the manner of IBM Quest (Agrawal and Srikant 1994), inside Spark.

    A basket is filled from weighted patterns, which share items with one another, each with a
    part of its items left out. Any basket is made from its number alone.
    """
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(0)
    lengths = np.maximum(1, rng.poisson(PATTERN_LENGTH, PATTERNS))
    patterns: list[Any] = [rng.integers(0, ITEMS, lengths[0])]
    for length in lengths[1:]:
        old = patterns[-1]
        shared = min(len(old), int(min(1.0, rng.exponential(0.5)) * length))
        fresh = rng.integers(0, ITEMS, length - shared)
        patterns.append(np.unique(np.concatenate([old[:shared], fresh])))
    weights = rng.exponential(size=PATTERNS)
    cumulative = np.cumsum(weights / weights.sum())
    kept = np.clip(1 - rng.normal(0.5, 0.1**0.5, PATTERNS), 0.05, 1.0)
    width = max(len(p) for p in patterns)
    table = np.full((PATTERNS, width), -1, np.int32)
    for i, pattern in enumerate(patterns):
        table[i, : len(pattern)] = pattern

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column(0).to_numpy()
            draw = np.random.default_rng([1, int(ids[0])])
            size = np.maximum(1, draw.poisson(BASKET_LENGTH, len(ids)))
            number = np.maximum(1, size // 2)  # patterns of a basket
            owner = np.repeat(np.arange(len(ids)), number)
            chosen = np.searchsorted(cumulative, draw.random(len(owner)))
            chosen = np.minimum(chosen, PATTERNS - 1)
            items = table[chosen]
            stays = (items >= 0) & (draw.random(items.shape) < kept[chosen][:, None])
            lengths = np.bincount(owner, stays.sum(axis=1), minlength=len(ids))
            offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
            yield pa.RecordBatch.from_arrays(
                [pa.ListArray.from_arrays(pa.array(offsets), pa.array(items[stays]))], ["items"]
            )

    return spark.range(0, baskets, 1, partitions).mapInArrow(make, "items array<int>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--support", type=float, default=0.001)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("itemsets, scale")
    from sparkml_dist import FrequentItemsets

    rows, times, peaks = [], {}, []
    with scratch() as folder:
        for millions in args.millions:
            where = str(folder / f"{millions}m")
            quest(spark, millions * 1_000_000, 2 * millions).write.parquet(where)
            df = spark.read.parquet(where)
            spent, models = [], []

            def mine(df: DataFrame = df, models: list[Any] = models) -> None:
                model = FrequentItemsets(minSupport=args.support, memoryPerTask="1g").fit(df)
                models.append(model)
                model.unpersist()

            if not times:
                mine()  # what starts once does not count
            spent = [seconds(mine) for _ in range(args.repeats if millions < 5 else 1)]
            times[millions] = median(spent)
            summary = models[-1].summary
            peaks.append(summary["peak_worker_rss"])
            rows.append(
                {
                    "baskets": f"{millions},000,000",
                    "itemsets": f"{models[-1].numItemsets:,}",
                    "groups": summary["groups"],
                    "count, s": summary["seconds"]["count"],
                    "mine, s": summary["seconds"]["mine"],
                    "fit, s": f"{times[millions]:.1f}",
                    "s per million": f"{times[millions] / millions:.2f}",
                    "peak worker memory, MiB": f"{peaks[-1] / 2**20:,.0f}",
                }
            )
    spark.stop()
    first, last = args.millions[0], args.millions[-1]
    ratio = (times[last] / last) / (times[first] / first)
    report(
        "mining_scale",
        f"Itemsets at {args.support:.1%} of generated baskets (IBM Quest-like: {ITEMS} items, "
        f"{PATTERNS} patterns), from Parquet, `local[2]`, `memoryPerTask` 1 GiB.",
        rows,
        target=f"within {TARGET} of linear; workers within 1 GiB",
        measured=f"{ratio:.2f} of linear; {max(peaks) / 2**20:,.0f} MiB",
        met=ratio <= TARGET and max(peaks) <= MEMORY,
    )


if __name__ == "__main__":
    main()
