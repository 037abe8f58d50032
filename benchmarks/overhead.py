"""Overhead: what an ensemble's fit costs beside the members' own fits."""

from __future__ import annotations

import argparse

from common import generated, median, report, scratch, seconds, session

from sparkml_dist import BaggingClassifier, partition


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    from sklearn.ensemble import HistGradientBoostingClassifier

    learner = HistGradientBoostingClassifier(max_iter=200, early_stopping=False)
    rows = []
    with scratch() as folder:
        spark = session("overhead")
        data = partition(generated(spark, 500_000), folder / "d", label="label", shards=8)
        for run in range(arguments.repeats):
            fitted = []
            bagging = BaggingClassifier(
                estimator=learner, numMembers=arguments.members, method="pasting", seed=run
            )
            wall = seconds(lambda b=bagging, f=fitted: f.append(b.fit(data)))
            own = [m["seconds"] for m in fitted[0].summary["members"]]
            rows.append(
                {
                    "run": run + 1,
                    "wall s": f"{wall:.2f}",
                    "members' own fit s": f"{sum(own):.2f}",
                    "median member s": f"{median(own):.2f}",
                    "overhead": f"{wall * 2 / sum(own):.3f}",
                }
            )
        spark.stop()
    ratio = median([float(r["overhead"]) for r in rows])
    report(
        "overhead",
        f"(wall seconds × 2 cores) / sum of the members' own `fit` seconds, {arguments.members} "
        "members of HistGradientBoostingClassifier(max_iter=200), shards ready, local[2]. The "
        "first run includes the start of Python workers and their imports.",
        rows,
        target="≤ 1.20 at 16 members of ≥ 2 s each",
        measured=f"{ratio:.3f}",
        met=ratio <= 1.2,
    )


if __name__ == "__main__":
    main()
