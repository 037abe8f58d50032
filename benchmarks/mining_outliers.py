"""Outliers: accuracy on mammography, agreement with scikit-learn, rows scored in a second."""

from __future__ import annotations

import argparse

import numpy as np
from common import DATA, alternating, median, report, session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=DATA / "mammography.csv", help="mammography.csv of ODDS")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("outliers")
    import pandas as pd
    from sklearn.ensemble import IsolationForest as Reference
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import LocalOutlierFactor as Factors

    from sparkml_dist import IsolationForest, LocalOutlierFactor, RobustZScore

    data = np.loadtxt(args.data, delimiter=",", comments="#")
    names = [f"x{i}" for i in range(6)]
    df = spark.createDataFrame(pd.DataFrame(data[:, :6], columns=names)).repartition(2).cache()
    areas: dict[str, list[float]] = {"standard": [], "extended": []}
    for method, found in areas.items():
        for seed in range(args.seeds):
            model = IsolationForest(featuresCols=names, method=method, seed=seed).fit(df)
            found.append(float(roc_auc_score(data[:, 6], model.score(data[:, :6]))))
    numbered = pd.DataFrame(data[:, :6], columns=names).assign(row=range(len(data)))
    fitted = LocalOutlierFactor(featuresCols=names).fit(spark.createDataFrame(numbered))
    factors = fitted.scores().toPandas().sort_values("row")["outlierScore"].to_numpy()
    theirs = -Factors(n_neighbors=20).fit(data[:, :6]).negative_outlier_factor_
    differing = int((np.abs(factors / theirs - 1) > 1e-6).sum())
    of_columns = RobustZScore(featuresCols=names).fit(df).score(data[:, :6])
    model = IsolationForest(featuresCols=names).fit(df)
    reference = Reference(random_state=0).fit(data[:, :6])
    two = Reference(random_state=0, n_jobs=2).fit(data[:, :6])
    draw = np.random.default_rng(0).integers(0, len(data), args.rows)
    many = (data[draw, :6] + np.random.default_rng(1).normal(0, 0.1, (args.rows, 6))).astype("f4")
    step = args.rows // 8
    big = spark.createDataFrame(pd.DataFrame(many[:step], columns=names))
    for start in range(step, args.rows, step):
        part = pd.DataFrame(many[start : start + step], columns=names)
        big = big.union(spark.createDataFrame(part))
    big = big.repartition(4).cache()
    big.count()
    times = alternating(
        args.repeats,
        ours=lambda: model.transform(big).agg({"outlierScore": "sum"}).collect(),
        sklearn=lambda: reference.score_samples(many),
        two_threads=lambda: two.score_samples(many),
    )
    rate = {name: args.rows / median(spent) for name, spent in times.items()}
    mean = {method: float(np.mean(found)) for method, found in areas.items()}
    ratio = rate["ours"] / rate["sklearn"]
    met = abs(mean["standard"] - 0.865) <= 0.01 and ratio >= 2
    report(
        "mining_outliers",
        f"Area under ROC on mammography (100 trees of 256 rows, {args.seeds} seeds), and rows "
        f"scored in a second ({args.rows:,} rows of 6 features), `local[2]`.",
        [
            {"": f"area, {method}", "value": f"{mean[method]:.4f} ± {np.std(areas[method]):.4f}"}
            for method in areas
        ]
        + [
            {
                "": "area, local outlier factor (20 neighbours)",
                "value": f"{roc_auc_score(data[:, 6], factors):.4f}, scikit-learn "
                f"{roc_auc_score(data[:, 6], theirs):.4f}",
            },
            {"": "factors that differ by more than 1e-6 (ties)", "value": f"{differing}"},
            {"": "area, robust z", "value": f"{roc_auc_score(data[:, 6], of_columns):.4f}"},
            {"": "rows/s, sparkml_dist, two cores", "value": f"{rate['ours']:,.0f}"},
            {"": "rows/s, scikit-learn", "value": f"{rate['sklearn']:,.0f}"},
            {"": "rows/s, scikit-learn, n_jobs=2", "value": f"{rate['two_threads']:,.0f}"},
        ],
        target=".865 ± .01 standard; >= 2x scikit-learn's rows/s",
        measured=f"{mean['standard']:.4f} standard, {mean['extended']:.4f} extended, {ratio:.1f}x",
        met=met,
    )
    spark.stop()


if __name__ == "__main__":
    main()
