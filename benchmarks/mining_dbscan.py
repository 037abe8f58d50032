"""DBSCAN on a million points in two dimensions, against scikit-learn in one process."""

from __future__ import annotations

import argparse
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
from common import median, report, scratch, seconds, session


def points(rows: int, seed: int = 0) -> np.ndarray:
    """Make two moons, five blobs and a tenth of noise."""
    from sklearn.datasets import make_blobs, make_moons

    rng = np.random.default_rng(seed)
    moons = 4 * make_moons(int(rows * 0.4), noise=0.05, random_state=seed)[0]
    blobs = make_blobs(int(rows * 0.5), centers=5, random_state=seed)[0]
    noise = rng.uniform(-12, 12, (rows - len(moons) - len(blobs), 2))
    return np.concatenate([moons, blobs, noise])


def measured(data: np.ndarray, df: Any, eps: float, least: int, repeats: int) -> Any:
    """Return the table's rows for one radius, how many times faster than the peer, and whether
    both find the same."""
    from sklearn.cluster import DBSCAN as Reference  # noqa: N811 - a class

    from sparkml_dist import DBSCAN

    estimator = DBSCAN(eps=eps, minPoints=least, featuresCols=["x", "y"])
    models, spent, labelled = [], [], []
    for _ in range(repeats):
        spent.append(seconds(lambda: models.append(estimator.fit(df))))
        labelled.append(
            seconds(lambda: models[-1].transform(df).agg({"prediction": "sum"}).collect())
        )
    found = models[-1].transform(df).select("id", "prediction").toArrow()
    labels = np.empty(len(data), np.int64)
    labels[found.column("id").to_numpy()] = found.column("prediction").to_numpy()
    reference = Reference(eps=eps, min_samples=least)
    peer = seconds(lambda: reference.fit(data))
    core = reference.core_sample_indices_
    pairs = np.unique(np.stack([labels[core], reference.labels_[core]], axis=1), axis=0)
    clusters = int(reference.labels_.max() + 1)
    same = len(pairs) == models[-1].numClusters == clusters
    same = same and bool(((labels == -1) == (reference.labels_ == -1)).all())
    ours = median(spent) + median(labelled)
    summary = models[-1].summary
    rows = [
        {
            "eps": eps,
            "": f"sparkml_dist, {summary['boxes']} boxes",
            "fit s": f"{median(spent):.1f}",
            "label s": f"{median(labelled):.1f}",
            "clusters": models[-1].numClusters,
            "peak MiB of a process": f"{summary['peak_worker_rss'] / 2**20:.0f}",
        },
        {
            "eps": eps,
            "": "scikit-learn, one process",
            "fit s": f"{peer:.1f}",
            "label s": "-",
            "clusters": clusters,
            "peak MiB of a process": f"{getrusage(RUSAGE_SELF).ru_maxrss / 2**10:.0f}",
        },
    ]
    return rows, peer / ours, same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.03, 0.1])
    parser.add_argument("--min-points", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("dbscan")
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = points(args.rows)
    rows, found = [], {}
    with scratch() as folder:
        table = pa.table({"x": data[:, 0], "y": data[:, 1], "id": np.arange(len(data))})
        pq.write_table(table, folder / "points.parquet")
        df = spark.read.parquet(str(folder / "points.parquet")).repartition(4).cache()
        df.count()
        for eps in sorted(args.eps):
            of_eps, *found[eps] = measured(data, df, eps, args.min_points, args.repeats)
            rows += of_eps
    spark.stop()
    report(
        "mining_dbscan",
        f"DBSCAN of {args.rows:,} points in two dimensions (moons, blobs, noise), "
        f"{args.min_points} points; `local[2]`, from a cached DataFrame to labels.",
        rows,
        target="the same core partition and noise, faster than scikit-learn",
        measured="; ".join(
            f"eps {eps}: {'the same' if same else 'other'} clusters, {ratio:.1f}x as fast"
            for eps, (ratio, same) in found.items()
        ),
        met=all(same and ratio > 1 for ratio, same in found.values()),
        note="scikit-learn ran once for each radius; its peak is that of this process so far.",
    )


if __name__ == "__main__":
    main()
