"""Nearest neighbours: the approximate search against the exact one, and scikit-learn's.

    python benchmarks/mining_neighbors.py

200,000 × 32 points, ten neighbours of 20,000 of them, clustered and uniform. From cached queries
to counted neighbours. Uniform points in 32 dimensions are the hardest there are for any index:
distances hardly differ.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa

from benchmarks.common import alternating, median, report, scratch, session
from sparkml_dist.mining import NearestNeighbors

N, WIDTH, QUERIES, K, REPEATS = 200_000, 32, 20_000, 10, 3


def points(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    if kind == "uniform":
        return rng.random((N, WIDTH))
    # As far apart as they are wide: neighbouring clusters overlap.
    centres = rng.normal(size=(1000, WIDTH))
    return centres[rng.integers(0, 1000, N)] + rng.normal(size=(N, WIDTH))


def frame(spark: Any, X: np.ndarray) -> Any:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), WIDTH)
    table = pa.table({"id": np.arange(N), "features": lists.cast(pa.list_(pa.float64()))})
    cached = spark.createDataFrame(table).repartition(4).persist()
    cached.count()
    return cached


def neighbours(model: Any, queries: Any) -> list[np.ndarray]:
    rows = model.transform(queries).selectExpr("id", "neighbors.key AS found").toArrow()
    order = np.argsort(rows.column("id").to_numpy())
    found = [np.array(f) for f in rows.column("found").to_pylist()]
    return [found[i] for i in order]


def counted(model: Any, queries: Any) -> None:
    model.transform(queries).selectExpr("sum(size(neighbors))").collect()


def measured(spark: Any, kind: str, folder: Path) -> tuple[list[dict[str, Any]], float, float]:
    """Return the table's rows, how many times faster the approximate search is, its recall."""
    from sklearn.neighbors import NearestNeighbors as Sklearn

    X = points(kind)
    df = frame(spark, X)
    queries = df.where(f"id < {QUERIES}").repartition(2).persist()
    queries.count()
    models, fits = {}, {}
    for method in ("exact", "approximate"):
        estimator = NearestNeighbors(
            numNeighbors=K, method=method, modelDir=str(folder / f"{kind}-{method}")
        )
        start = time.perf_counter()
        models[method] = estimator.fit(df)
        fits[method] = f"{time.perf_counter() - start:.1f}"
    peer = Sklearn(n_neighbors=K, algorithm="brute", n_jobs=2).fit(X)
    times = alternating(
        REPEATS,
        exact=lambda: counted(models["exact"], queries),
        approximate=lambda: counted(models["approximate"], queries),
        sklearn=lambda: peer.kneighbors(X[:QUERIES]),
    )
    truth, found = (neighbours(models[m], queries) for m in ("exact", "approximate"))
    shares = [(len({*t} & {*f}) - 1) / (K - 1) for t, f in zip(truth, found, strict=True)]
    recall = float(np.mean(shares))
    spent = {name: median(values) for name, values in times.items()}
    quick = models["approximate"]
    special = {
        "recall@10": f"{recall:.4f}",
        "told at the fit": f"{quick.recall:.4f}",
        "cells visited": f"{quick.probes} of {quick.numCells}",
    }
    plain = {"recall@10": "1", "told at the fit": "", "cells visited": ""}
    rows = [
        {
            "points": kind,
            "search": {"sklearn": "scikit-learn, brute, 2 threads"}.get(name, name),
            "fit (s)": fits.get(name, ""),
            "search (s)": f"{spent[name]:.2f}",
            "× exact": f"{spent['exact'] / spent[name]:.1f}",
            **(special if name == "approximate" else plain),
        }
        for name in spent
    ]
    df.unpersist()
    queries.unpersist()
    return rows, spent["exact"] / spent["approximate"], recall


def main() -> int:
    spark = session("mining_neighbors", memory="4g")
    rows: list[dict[str, Any]] = []
    found = {}
    with scratch() as folder:
        for kind in ("clustered", "uniform"):
            of_kind, *found[kind] = measured(spark, kind, folder)
            rows += of_kind
    met = {kind: ratio >= 5 and recall >= 0.95 for kind, (ratio, recall) in found.items()}
    verdicts = "; ".join(f"{kind}: {'met' if met[kind] else 'missed'}" for kind in met)
    report(
        "mining_neighbors",
        f"Ten nearest neighbours of {QUERIES:,} of {N:,} points in {WIDTH} dimensions, local[2]. "
        "Recall counts the nine neighbours beside the point itself.",
        rows,
        target="recall@10 ≥ 0.95 at ≥ 5× the speed of exact",
        measured="; ".join(f"{k}: {c:.3f} at {r:.1f}×" for k, (r, c) in found.items()),
        met=all(met.values()),
        note=f"{verdicts}. Clustered points are 1,000 normal clouds as wide as they are far apart. "
        "The fit is not counted in the search.",
    )
    spark.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
