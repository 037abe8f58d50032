"""Overhead of every method that is made of independent members."""

from __future__ import annotations

import argparse
from typing import Any

from common import generated, median, report, scratch, seconds, session

from sparkml_dist import (
    BaggingClassifier,
    BlendingClassifier,
    EnsembleSelectionClassifier,
    IVotesClassifier,
    StackingClassifier,
    VotingClassifier,
    partition,
)


def estimators(seed: int) -> dict[str, Any]:
    """Return an estimator of each method, with members of two seconds or more."""
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    def boosting(rounds: int) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False)

    hgb = boosting(250)
    # Of fewer features or rows, a member needs more rounds for its two seconds.
    rounds = {"subspaces": 500, "patches": 700}
    kinds = [("boosting", hgb), ("trees", ExtraTreesClassifier(40, max_depth=16))]

    def bag(method: str, **more: Any) -> BaggingClassifier:
        learner = boosting(rounds.get(method, 250))
        return BaggingClassifier(estimator=learner, numMembers=16, method=method, seed=seed, **more)

    return {
        "bagging": bag("bagging"),
        "pasting": bag("pasting"),
        "subspaces": bag("subspaces"),
        "patches": bag("patches"),
        "balanced": bag("balanced"),
        "bagging in waves": bag("bagging", stopMetric="auc", patience=9, waveSize=8),
        "voting": VotingClassifier(estimators=kinds, seed=seed),
        "blending": BlendingClassifier(estimators=kinds, seed=seed),
        "selection": EnsembleSelectionClassifier(estimators=kinds, seed=seed),
        "stacking, 3 folds": StackingClassifier(
            estimators=kinds, numFolds=3, shardsPerMember=4, seed=seed
        ),
        "IVotes": IVotesClassifier(
            estimator=DecisionTreeClassifier(), numMembers=400, biteSize=20_000, patience=99
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    rows = []
    with scratch() as folder:
        spark = session("ensemble_overhead")
        data = partition(generated(spark, arguments.rows), folder / "d", label="label", shards=8)
        BaggingClassifier(estimator=estimators(0)["bagging"].getEstimator(), numMembers=2).fit(data)
        for name in estimators(0):
            if arguments.only and name not in arguments.only:
                continue
            walls, owns, asked, ratios, whole, sizes = [], [], [], [], [], []
            for run in range(arguments.repeats):
                fitted: list[Any] = []
                estimator = estimators(run)[name]
                wall = seconds(lambda e=estimator, f=fitted: f.append(e.fit(data)))
                summary = fitted[0].summary
                own, predicting = (summary["seconds"][k] for k in ("member_fit", "member_predict"))
                walls.append(wall)
                owns.append(own)
                asked.append(predicting)
                ratios.append(wall * 2 / own)
                whole.append(wall * 2 / (own + predicting))
                sizes.append(median([m["seconds"] for m in summary["members"]]))
            rows.append(
                {
                    "method": name,
                    "wall s": f"{median(walls):.1f}",
                    "a member's fit s": f"{median(sizes):.1f}",
                    "members' own fit s": f"{median(owns):.1f}",
                    "own predict s": f"{median(asked):.1f}",
                    "engine s": f"{2 * median(walls) - median(owns) - median(asked):.1f}",
                    "overhead": f"{median(ratios):.3f}",
                    "over fit + predict": f"{median(whole):.3f}",
                }
            )
            print(rows[-1], flush=True)
        spark.stop()
    missed = [r["method"] for r in rows if float(r["overhead"]) > 1.2]
    report(
        "ensemble_overhead",
        f"(wall seconds × 2 cores) / sum of the learners' own `fit` seconds, medians of "
        f"{arguments.repeats}, {arguments.rows:,} × 28 on 8 shards, local[2], workers warm. All "
        "learners that a fit fits count, those of folds and of a library too. Waves, blending, "
        "selection and stacking must ask members about rows that these have not seen: that is in "
        "`overhead`; the last column counts it as the learners' work. Engine: what is neither.",
        rows,
        target="≤ 1.20 for every method made of independent members",
        measured=f"{len(rows) - len(missed)} of {len(rows)}"
        + (f"; above: {', '.join(missed)}" if missed else ""),
        met=not missed,
    )


if __name__ == "__main__":
    main()
