"""Kernel machines: test errors on kin40k, and ridge on more rows than scikit-learn holds."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import DATA, generated, report, scratch, session

from sparkml_dist import GaussianProcess, KernelRidge, partition
from sparkml_dist.kernels.row_source import lowest_of_shard

FIXED = {"lengthScale": 2.0, "standardization": False, "alpha": 0.01, "fitIntercept": False}
_WITHIN = 1.959963984540054


def _rmse(found: Any, wanted: Any) -> float:
    return float(np.sqrt(np.mean((np.asarray(found) - np.asarray(wanted)) ** 2)))


def kin40k(spark: Any) -> None:
    """Test errors, and the cover of the intervals, on the rows and the length scale published."""
    import pandas as pd

    train = np.loadtxt(DATA / "kin40k.train.txt.gz")
    test = np.loadtxt(DATA / "kin40k.test.txt.gz")
    names = [f"x{i}" for i in range(8)]
    frame = spark.createDataFrame(pd.DataFrame(train, columns=[*names, "label"]))
    X, y = test[:, :8], test[:, 8]
    machines: dict[str, Any] = {
        "ridge, 1,000 random centres": KernelRidge(numCenters=1000, **FIXED),
        "ridge, 1,000 centres far apart": KernelRidge(
            numCenters=1000, centerMethod="kmeans++", **FIXED
        ),
        "ridge, 4,000 centres far apart": KernelRidge(
            numCenters=4000, centerMethod="kmeans++", tol=1e-4, **FIXED
        ),
        "ridge, 4,000 centres by leverage": KernelRidge(
            numCenters=4000, centerMethod="leverage", tol=1e-4, **FIXED
        ),
        "sparse process, 1,000 centres": GaussianProcess(numCenters=1000),
        "committee of 10, 500 shared rows": GaussianProcess(method="committee"),
    }
    rows, found = [], {}
    with scratch() as folder:
        data = partition(frame, str(folder / "d"), label="label", task="regression", shards=10)
        for name, machine in machines.items():
            start = time.perf_counter()
            model = machine.fit(data)
            took = time.perf_counter() - start
            row: dict[str, Any] = {"machine": name, "seconds": f"{took:.1f}"}
            if "process" in name or "committee" in name:
                mean, std = model.predict(X)
                cover = float(np.mean(np.abs(y - mean) <= _WITHIN * std))
                row |= {"RMSE": f"{_rmse(mean, y):.4f}", "cover of 95%": f"{cover:.1%}"}
                found[name] = cover
            else:
                error = _rmse(model.to_sklearn().predict(X), y)
                row |= {"RMSE": f"{error:.4f}", "cover of 95%": ""}
                found[name] = error
            row["solver"] = model.summary.get("solver", "")
            row["steps"] = model.summary.get("iterations", "")
            rows.append(row)
            print(row, flush=True)
    few, many = found["ridge, 1,000 random centres"], found["ridge, 4,000 centres far apart"]
    covers = [value for name, value in found.items() if "process" in name or "committee" in name]
    report(
        "kernels_kin40k",
        "kin40k: 10,000 training rows in 10 shards, 30,000 test rows, 8 features; ridge with a "
        "Gaussian kernel of length 2 and alpha 0.01; processes with their own length scales. "
        "local[2].",
        rows,
        target="1,000 random centres at most .27, 4,000 chosen ones at most .19; intervals of 95% "
        "cover 93 to 97%",
        measured=f"{few:.4f}, {many:.4f}; {', '.join(f'{c:.1%}' for c in covers)}",
        met=few <= 0.27 and many <= 0.19 and all(0.93 <= c <= 0.97 for c in covers),
    )


def large(spark: Any, rows: int, centers: int, sample: int) -> None:
    """Ridge on all rows, and scikit-learn's Nystroem with Ridge on a sample of them."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge

    table = []
    with scratch() as folder:
        frame = generated(spark, rows).selectExpr("*", "cast(label AS double) AS y").drop("label")
        data = partition(frame, str(folder / "d"), label="y", task="regression", shards=16)
        held = generated(spark, 100_000, start=1 << 32).toPandas()
        X, y = held.drop(columns="label").to_numpy(np.float64), held["label"].to_numpy()
        small = lowest_of_shard(data, 0, sample, 0, 1.0).kept()
        seen_rows, t = small[1], small[2]
        given: dict[str, Any] = {
            "centers": seen_rows[:centers].tolist(),
            "lengthScale": 5.0,
            "standardization": False,
            "alpha": 1.0,
        }

        def note(name: str, seen: int, took: float, found: Any, memory: float) -> float:
            error = _rmse(found, y)
            table.append(
                {
                    "machine": name,
                    "rows": f"{seen:,}",
                    "seconds": f"{took:.1f}",
                    "µs a row": f"{took / seen * 1e6:.0f}",
                    "RMSE": f"{error:.5f}",
                    "features in memory": f"{memory:.0f} MB",
                }
            )
            print(table[-1], flush=True)
            return error

        block = 32.0
        for precision in ("double", "single"):
            start = time.perf_counter()
            model = KernelRidge(precision=precision, solver="direct", **given).fit(data)
            took = time.perf_counter() - start
            whole = note(
                f"KernelRidge, {precision}", rows, took, model.to_sklearn().predict(X), block
            )
        start = time.perf_counter()
        few = spark.createDataFrame(
            [(*map(float, row), float(z)) for row, z in zip(seen_rows, t, strict=True)],
            [*data.feature_names, "label"],
        )
        model = KernelRidge(solver="direct", numShards=2, **given).fit(few)
        ours = note(
            "KernelRidge, double",
            len(seen_rows),
            time.perf_counter() - start,
            model.to_sklearn().predict(X),
            block,
        )
        start = time.perf_counter()
        nystroem = Nystroem(gamma=1 / 50, n_components=centers).fit(seen_rows[:centers])
        features = nystroem.transform(seen_rows)
        peer = Ridge(alpha=1.0, solver="cholesky").fit(features, t)
        took = time.perf_counter() - start
        parts = [peer.predict(nystroem.transform(part)) for part in np.array_split(X, 10)]
        theirs = note(
            "scikit-learn's Nystroem and Ridge",
            len(seen_rows),
            took,
            np.concatenate(parts),
            features.nbytes / 2**20,
        )
    report(
        "kernels_ridge",
        f"{rows:,} rows of 28 features in 16 shards, {centers:,} centres, Gaussian kernel of "
        "length 5, the same centres for all; 100,000 new rows. local[2].",
        table,
        target="RMSE within 1% of scikit-learn's on the rows that it holds",
        measured=f"{abs(ours / theirs - 1):.2%} on the same rows; {whole:.5f} on all rows",
        met=abs(ours / theirs - 1) <= 0.01,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--centers", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=50_000)
    parser.add_argument("--only", choices=("kin40k", "large"))
    args = parser.parse_args()
    spark = session("kernels")
    if args.only != "large":
        kin40k(spark)
    if args.only != "kin40k":
        large(spark, args.rows, args.centers, args.sample)
    spark.stop()


if __name__ == "__main__":
    main()
