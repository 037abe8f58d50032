"""Larger than memory: 12 GB of float32 through two ranks of 1 GiB, as one boosted model."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import generated, report
from ensemble_big import LIMIT, TEST_ROWS, area, cut, limited_session

from sparkml_dist import XGBoostClassifier
from sparkml_dist.errors import SparkMLDistError

DEPTH = 6


def boosting(ranks: int, rounds: int, *, external: bool) -> XGBoostClassifier:
    return XGBoostClassifier(
        numMembers=rounds,
        numRanks=ranks,
        maxDepth=DEPTH,
        learningRate=0.3,
        externalMemory=external,
        memoryPerTask="800m",
        maxRestarts=0,
    )


def fitted(name: str, estimator: XGBoostClassifier, data: Any, test: Any) -> dict[str, Any]:
    """Fit and score; return what it took."""
    start = time.perf_counter()
    model = estimator.fit(data)
    wall = time.perf_counter() - start
    found = {
        "what": name,
        "data GB": f"{data.n_rows * data.n_features * 4 / 1e9:.1f}",
        "rows": f"{data.n_rows:,}",
        "fit s": f"{wall:.0f}",
        "µs per row": f"{wall / data.n_rows * 1e6:.1f}",
        "peak rank MB": f"{model.summary['peak_worker_rss_mb']:.0f}",
        "AUC": f"{area(model, test):.4f}",
    }
    print(found, flush=True)
    return found


def largest_sample(data: Any, rounds: int, test: Any) -> dict[str, Any]:
    """Fit one rank, with its rows in memory, on as many shards as it can take, from above."""
    row = data.n_features * 2 + 44
    shards = max(1, int(0.8 * LIMIT / (data.shards[0].rows * row)))
    while True:
        few = replace(data, manifest=replace(data.manifest, shards=data.shards[:shards]))
        try:
            return fitted(
                f"one rank in memory, {shards} shards",
                boosting(1, rounds, external=False),
                few,
                test,
            )
        except SparkMLDistError as error:
            print(f"{shards} shards: {error.code}", flush=True)
            if shards == 1:
                raise
            shards = max(1, int(shards * 0.8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--features", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--folder", help="where shards stay; a temporary folder by default")
    arguments = parser.parse_args()
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="sparkml_dist-big-"))
    rows = int(arguments.gigabytes * 1e9 / (4 * arguments.features))
    spark = limited_session()
    try:
        # The generator draws a batch from its first row's number: these are other draws.
        test = generated(spark, TEST_ROWS, arguments.features, start=1 << 40).cache()
        data = cut(spark, folder / "shards", rows, arguments.features)
        whole = fitted("two ranks", boosting(2, arguments.rounds, external=True), data, test)
        sample = largest_sample(data, arguments.rounds, test)
        spark.stop()
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    gain, peak = float(whole["AUC"]) - float(sample["AUC"]), float(whole["peak rank MB"])
    report(
        "gang_boost_big",
        f"{arguments.gigabytes:g} GB of float32 ({rows:,} × {arguments.features}) generated in "
        "Spark, two workers of one core (`local-cluster[2,1,2048]`) whose Python may have 1 GiB "
        f"each (RLIMIT_DATA); {arguments.rounds} rounds of depth {DEPTH}; AUC on "
        f"{TEST_ROWS:,} new rows.",
        [whole, sample],
        target="completes; AUC above one rank on the largest sample that it holds in memory",
        measured=f"peak {peak:.0f} MB; AUC {gain:+.4f}",
        met=gain > 0,
        note="A rank keeps 44 bytes of each row in memory, and 32 KiB in each page of bins for "
        "each node that is split at once (32 at depth 6): 12 GB of rows of 28 features (107 "
        f"million) need seven ranks of 1 GiB; with {arguments.features} features two are enough.",
    )


if __name__ == "__main__":
    sys.exit(main())
