"""One boosted model over all rows: against xgboost's own, and at ten times the rows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import alternating, generated, median, report, scratch, session
from ensemble_auc import FEATURES, _Assembled, _vectors, area, write_problem

from sparkml_dist import XGBoostClassifier, partition

ROUNDS, DEPTH, RATE = 100, 8, 0.2


def boosting(ranks: int, **more: Any) -> XGBoostClassifier:
    given = {"numMembers": ROUNDS, "maxDepth": DEPTH, "learningRate": RATE, "numShards": 2}
    return XGBoostClassifier(**{**given, "numRanks": ranks, **more})


def xgboost_spark(frame: Any) -> _Assembled:
    from xgboost.spark import SparkXGBClassifier

    learner = SparkXGBClassifier(
        num_workers=2,
        n_estimators=ROUNDS,
        max_depth=DEPTH,
        learning_rate=RATE,
        tree_method="hist",
        verbosity=0,
    )
    return _Assembled(learner.fit(_vectors(frame)))


def xgboost_train(X: Any, y: Any) -> Any:
    import xgboost

    settings = {
        "objective": "binary:logistic",
        "max_depth": DEPTH,
        "learning_rate": RATE,
        "tree_method": "hist",
        "nthread": 1,
    }
    return xgboost.train(settings, xgboost.QuantileDMatrix(X, y, nthread=1), ROUNDS)


def against_peers(spark: Any, rows: int, repeats: int) -> None:
    from sklearn.metrics import roc_auc_score

    areas: dict[str, list[float]] = {}
    with scratch() as folder:
        train, test, *_ = write_problem(rows, folder, 0)
        held = spark.read.parquet(test)
        matrix = held.toPandas()
        X_test, y_test = matrix[FEATURES].to_numpy(np.float32), matrix["label"].to_numpy()

        def scored(name: str, fit: Callable[[], Any], score: Callable[[Any], float]) -> Any:
            def run() -> None:
                areas.setdefault(name, []).append(score(fit()))

            return run

        def by_spark(model: Any) -> float:
            return area(model, held)

        def plain(booster: Any) -> float:
            return float(roc_auc_score(y_test, booster.inplace_predict(X_test)))

        # The time of a fit is taken without that of scoring.
        times: dict[str, list[float]] = {}

        def timed(name: str, fit: Callable[[], Any]) -> Callable[[], Any]:
            def run() -> Any:
                begin = time.perf_counter()
                found = fit()
                times.setdefault(name, []).append(time.perf_counter() - begin)
                phases = found.summary["seconds"] if hasattr(found, "summary") else ""
                print(f"{name}: {times[name][-1]:.1f} s {phases}", flush=True)
                return found

            return run

        two, peer = "sparkml_dist, 2 ranks", "xgboost.spark, 2 workers"
        one, alone = "sparkml_dist, 1 rank, shards ready", "xgboost.train, 1 thread, in memory"
        ready = "sparkml_dist, 2 ranks, shards ready"
        # The same rows in the same order: sketches of quantiles depend on it.
        data = partition(
            spark.read.parquet(train), folder / "shards", label="label", shards=2, seed=0
        )
        alternating(
            repeats,
            cut=scored(ready, timed(ready, lambda: boosting(2).fit(data)), by_spark),
            ours=scored(
                two, timed(two, lambda: boosting(2).fit(spark.read.parquet(train))), by_spark
            ),
            theirs=scored(
                peer, timed(peer, lambda: xgboost_spark(spark.read.parquet(train))), by_spark
            ),
        )
        block = data.read_block(range(len(data.shards)))
        alternating(
            1,
            ours=scored(one, timed(one, lambda: boosting(1).fit(data)), by_spark),
            theirs=scored(alone, timed(alone, lambda: xgboost_train(block.X, block.y)), plain),
        )
    ratio = median(times[two]) / median(times[peer])
    without = median(times[ready]) / median(times[peer])
    apart = abs(median(areas[one]) - median(areas[alone]))
    ranks_apart = abs(median(areas[two]) - median(areas[one]))
    report(
        "gang_boost",
        "Seconds from a Parquet DataFrame to a fitted model, cutting the shards included where "
        "they are not ready (one rank and xgboost.train have the same rows in one order), and AUC "
        "on 100,000 held-out "
        f"rows; {rows:,} × 28 (`make_classification`); {ROUNDS} rounds, depth {DEPTH}, η {RATE}, "
        "256 bins, `hist`; local[2].",
        [
            {
                "method": name,
                "runs": len(times[name]),
                "seconds (median)": f"{median(times[name]):.1f}",
                "seconds (all)": " ".join(f"{t:.1f}" for t in times[name]),
                "AUC": f"{median(areas[name]):.5f}",
            }
            for name in times
        ],
        target="two ranks in ≤ 1.0 × xgboost.spark's time; AUC of one rank within 1e-4 of "
        "xgboost.train, of two ranks within 1e-3 of one",
        measured=f"{ratio:.2f} × its time ({without:.2f} with shards ready); AUC "
        f"apart by {apart:.1e} and {ranks_apart:.1e}",
        met=ratio <= 1.0 and apart <= 1e-4 and ranks_apart <= 1e-3,
    )


def orders(rows: int, number: int) -> None:
    """Fit xgboost.train on the same rows in several orders: what their order alone changes."""
    import pyarrow.parquet as pq
    from sklearn.metrics import roc_auc_score

    with scratch() as folder:
        train, test, *_ = write_problem(rows, folder, 0)
        (X, y), (X_test, y_test) = (
            (table[FEATURES].to_numpy(np.float32), table["label"].to_numpy())
            for table in (pq.read_table(path).to_pandas() for path in (train, test))
        )
    found: dict[str, float] = {}
    for seed in range(number):
        order = np.random.default_rng(seed).permutation(len(y)) if seed else np.arange(len(y))
        booster = xgboost_train(X[order], y[order])
        area = float(roc_auc_score(y_test, booster.inplace_predict(X_test)))
        found[f"random, seed {seed}" if seed else "as drawn"] = area
        print(seed, area, flush=True)
    areas = list(found.values())
    report(
        "gang_boost_orders",
        f"AUC of `xgboost.train` in memory on the {rows:,} rows of gang_boost in {number} orders, "
        "and nothing else changed: the sketches of quantiles, and sums of floats, depend on it.",
        [{"order": order, "AUC": f"{area:.5f}"} for order, area in found.items()],
        target="none: the spread tells which differences of AUC mean something",
        measured=f"{min(areas):.5f} to {max(areas):.5f}, deviation {np.std(areas, ddof=1):.5f}",
        met=True,
    )


def growth(spark: Any, rows: int) -> None:
    """Fit with bins on disk at two sizes, a tenth and the whole."""
    found: list[dict[str, Any]] = []
    with scratch() as folder:
        for size in (rows // 10, rows):
            frame = generated(spark, size, partitions=max(8, size // 250_000))
            data = partition(
                frame, folder / f"{size}", label="label", memory_per_task="64m", seed=0
            )
            for external in (True, False):
                begin = time.perf_counter()
                model = boosting(2, numMembers=20, externalMemory=external).fit(data)
                wall = time.perf_counter() - begin
                summary = model.summary
                work = summary["seconds"]["bin"] + summary["seconds"]["train"]
                found.append(
                    {
                        "rows": f"{size:,}",
                        "bins": "on disk" if external else "in memory",
                        "seconds": f"{wall:.1f}",
                        "µs per row": f"{wall / size * 1e6:.2f}",
                        "binning and trees, µs per row": f"{work / size * 1e6:.2f}",
                        "peak rank MB": f"{summary['peak_worker_rss_mb']:.0f}",
                        "_peak": summary["peak_worker_rss_mb"],
                        "_cost": wall / size,
                    }
                )
                print(found[-1], flush=True)
    small, big = (next(f for f in found[i:] if f["bins"] == "on disk") for i in (0, 2))
    memory, cost = big["_peak"] / small["_peak"] - 1, big["_cost"] / small["_cost"] - 1
    each = (big["_peak"] - small["_peak"]) * 2**20 / (0.9 * rows / 2)
    in_memory = (found[3]["_peak"] - found[1]["_peak"]) * 2**20 / (0.9 * rows / 2)
    report(
        "gang_boost_memory",
        f"Two ranks on shards of {rows // 10:,} and {rows:,} rows × 28, 20 rounds of depth "
        f"{DEPTH}; local[2].",
        [{k: v for k, v in row.items() if not k.startswith("_")} for row in found],
        target="with bins on disk, peak memory of a rank within 5% and cost per row at most 15% "
        "higher at ten times the rows",
        measured=f"peak {memory:+.0%}, cost per row {cost:+.0%}",
        met=memory <= 0.05 and cost <= 0.15,
        note=f"A row more takes {each:.0f} bytes of a rank's memory with bins on disk, and "
        f"{in_memory:.0f} with bins in memory, where its features as float32 take 112. 44 bytes "
        "are XGBoost's label, margin (and its copy for metrics), gradient, hessian, number among "
        "the rows of its node and room to split them; the rest are buffers of each page of bins "
        "for each node that is split at once. Only the bins can be on disk: 5% would be 9 bytes of "
        "a row, and gradient and hessian alone are 8.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--growth-rows", type=int, default=3_000_000)
    parser.add_argument("--only", choices=("peers", "growth", "orders"))
    arguments = parser.parse_args()
    if arguments.only in (None, "orders"):
        orders(arguments.rows, 7)
        if arguments.only:
            return
    spark = session("gang_boost", memory="4g")
    if arguments.only != "growth":
        against_peers(spark, arguments.rows, arguments.repeats)
    if arguments.only != "peers":
        growth(spark, arguments.growth_rows)
    spark.stop()


if __name__ == "__main__":
    main()
