"""Engine of a search: what it costs beside the fits of its trials, long and short ones."""

from __future__ import annotations

import argparse
from typing import Any

from common import generated, median, report, scratch, seconds, session
from scipy.stats import loguniform, randint

from sparkml_dist import HyperparameterSearch, PartitionedDataset, partition

CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", type=int, default=64)
    parser.add_argument("--short", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=120)
    arguments = parser.parse_args()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    booster = HistGradientBoostingClassifier(max_iter=arguments.rounds, early_stopping=False)
    rows: list[dict[str, Any]] = []
    with scratch() as folder:
        spark = session("search_engine")
        large = partition(generated(spark, 125_000), folder / "large", label="label", shards=1)
        small = partition(generated(spark, 2_500), folder / "small", label="label", shards=1)
        rates = {"learning_rate": loguniform(0.02, 0.5), "l2_regularization": loguniform(0.01, 9)}
        depths = {"max_depth": randint(5, 20), "min_samples_leaf": randint(1, 50)}
        for run in range(arguments.repeats):
            # The first run of all includes the start of Python workers and their imports.
            rows.append(_run("long", large, booster, rates, arguments.long, run))
            rows.append(
                _run("short", small, DecisionTreeClassifier(), depths, arguments.short, run)
            )
        spark.stop()
    ratio = median([r["overhead"] for r in rows if r["trials"].endswith("long")])
    beside = median([r["ms beside, a trial"] for r in rows if r["trials"].endswith("short")])
    for row in rows:
        row["overhead"] = f"{row['overhead']:.3f}"
        row["ms beside, a trial"] = f"{row['ms beside, a trial']:.1f}"
    report(
        "search_engine",
        "Random search without a scheduler, one fit to a trial, 20% of the rows held out and "
        "scored, no refit, local[2]. Overhead: (wall seconds × 2 cores) / sum of the trials' own "
        "`fit` seconds. Beside: (wall × 2 cores − fits) / trials.",
        rows,
        target=f"overhead ≤ 1.15 at {arguments.long} trials of ≥ 2 s; ≤ 30 ms beside the work at "
        f"{arguments.short:,} trials of 10 ms",
        measured=f"{ratio:.3f}; {beside:.1f} ms",
        met=ratio <= 1.15 and beside <= 30,
    )


def _run(
    kind: str, data: PartitionedDataset, learner: Any, space: Any, trials: int, seed: int
) -> dict[str, Any]:
    fitted: list[Any] = []
    search = HyperparameterSearch(
        estimator=learner,
        space=space,
        numTrials=trials,
        sampler="random",
        scheduler="none",
        refit="none",
        seed=seed,
    )
    wall = seconds(lambda: fitted.append(search.fit(data)))
    own = [row["seconds"] for row in fitted[0].trialsTable()]
    return {
        "trials": f"{trials:,} {kind}",
        "run": seed + 1,
        "wall s": f"{wall:.2f}",
        "own fit s": f"{sum(own):.2f}",
        "median fit s": f"{median(own):.4f}",
        "overhead": wall * CORES / sum(own),
        "ms beside, a trial": 1000 * (wall * CORES - sum(own)) / trials,
    }


if __name__ == "__main__":
    main()
