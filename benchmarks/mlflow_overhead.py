"""What logging a fit in MLflow adds to its time: autolog on against off, with a SQLite store."""

from __future__ import annotations

import argparse
import os
import time

from common import alternating, generated, median, report, scratch, session

TARGET = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    spark = session("mlflow_overhead")

    import mlflow
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    import sparkml_dist.mlflow
    from sparkml_dist import BaggingClassifier, partition

    with scratch() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/store.db")
        mlflow.create_experiment("overhead", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("overhead")
        data = partition(generated(spark, args.rows), str(folder / "shards"), label="label")
        fits = {
            f"{args.members} members of HistGradientBoosting": BaggingClassifier(
                estimator=HistGradientBoostingClassifier(max_iter=100, early_stopping=False),
                numMembers=args.members,
            ),
            f"{args.members} trees of depth 8": BaggingClassifier(
                estimator=DecisionTreeClassifier(max_depth=8), numMembers=args.members
            ),
        }
        rows, shares = [], []
        for name, estimator in fits.items():
            spent: list[float] = []

            def plain(estimator: BaggingClassifier = estimator) -> None:
                estimator.fit(data)

            def logged(
                estimator: BaggingClassifier = estimator, spent: list[float] = spent
            ) -> None:
                sparkml_dist.mlflow.autolog()
                start = time.perf_counter()
                estimator.fit(data)
                spent.append(time.perf_counter() - start)
                sparkml_dist.mlflow.autolog(disable=True)

            plain()  # workers have imported what they need
            logged()  # and the driver has MLflow and matplotlib
            times = alternating(args.repeats, plain=plain, logged=logged)
            base, whole = median(times["plain"]), median(times["logged"])
            shares.append(whole / base - 1)
            for key, label in (("plain", "without MLflow"), ("logged", "autolog")):
                rows.append(
                    {
                        "fit": f"{name}, {label}",
                        "seconds (median)": f"{median(times[key]):.2f}",
                        "all": ", ".join(f"{v:.2f}" for v in times[key]),
                        "added": ""
                        if key == "plain"
                        else f"{whole - base:+.2f} s, {shares[-1]:+.1%}",
                    }
                )
            rows[-1]["fit"] += f" (the first one, with imports: {spent[0]:.2f} s)"
    spark.stop()
    report(
        "mlflow_overhead",
        f"Seconds of a fit on {args.rows:,} rows of 28 features in {len(data.shards)} shard(s), "
        "with `sparkml_dist.mlflow.autolog()` and without: Params, numbers by member, pictures, "
        "the model with its signature, in a SQLite store.",
        rows,
        target=f"at most {TARGET:.0%} of a fit (the first of the table)",
        measured=f"{shares[0]:+.1%}",
        met=shares[0] <= TARGET,
        note="What is added does not depend on the rows; it is a larger share of a fit that takes "
        "a few seconds.",
    )


if __name__ == "__main__":
    main()
