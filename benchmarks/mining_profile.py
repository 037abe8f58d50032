"""A profile of a table against the parts of it that Spark has built in.

    python benchmarks/mining_profile.py [--rows N]

5M rows × 20 doubles, cached. Spark's `summary()` tells count, mean, sd and quantiles; with it, one
more pass of `approx_count_distinct`. The profile tells these and frequent values, skewness,
kurtosis, histograms and correlations.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import alternating, median, report, session
from sparkml_dist.mining import profile

COLUMNS, REPEATS = 20, 3


def main() -> None:
    from pyspark.sql import functions as F

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    rows_of_table = parser.parse_args().rows
    spark = session("mining_profile")
    df = spark.range(0, rows_of_table, 1, 8).select(
        *[
            (F.randn(j) if j % 2 else F.floor(F.rand(j) * 10 ** (j // 3)).cast("double")).alias(
                f"f{j}"
            )
            for j in range(COLUMNS)
        ]
    )
    df = df.persist()
    df.count()

    def built_in() -> None:
        df.summary().collect()
        df.agg(*[F.approx_count_distinct(c) for c in df.columns]).collect()

    times = alternating(REPEATS, profile=lambda: profile(df), spark=built_in)
    ours, theirs = median(times["profile"]), median(times["spark"])
    rows = [
        {"way": "profile", "seconds": f"{ours:.1f}", "ratio": "1"},
        {
            "way": "summary() and approx_count_distinct",
            "seconds": f"{theirs:.1f}",
            "ratio": f"{theirs / ours:.2f}",
        },
    ]
    report(
        "mining_profile",
        f"{rows_of_table:,} rows × {COLUMNS} columns, cached, local[2], median of {REPEATS}.",
        rows,
        target="no slower than what Spark has built in, which tells less",
        measured=f"{theirs / ours:.2f} times as fast",
        met=ours <= theirs,
    )
    spark.stop()


if __name__ == "__main__":
    main()
