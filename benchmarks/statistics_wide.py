"""Logistic regression on a million sparse features: against MLlib, with the driver's memory."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import median, report, scratch, session

from sparkml_dist import LogisticRegression, adopt

FILES = 8
ALPHA = 1e-4
#: How Spark knows vectors in a Parquet file.
VECTOR = {
    "type": "udt",
    "class": "org.apache.spark.ml.linalg.VectorUDT",
    "pyClass": "pyspark.ml.linalg.VectorUDT",
    "sqlType": {
        "type": "struct",
        "fields": [
            {"name": "type", "type": "byte", "nullable": False, "metadata": {}},
            {"name": "size", "type": "integer", "nullable": True, "metadata": {}},
            *(
                {
                    "name": name,
                    "type": {"type": "array", "elementType": kind, "containsNull": False},
                    "nullable": True,
                    "metadata": {},
                }
                for name, kind in (("indices", "integer"), ("values", "double"))
            ),
        ],
    },
}


def write_rows(folder: Path, rows: int, width: int, stored: int) -> None:
    """Write sparse vectors and labels as Parquet that Spark reads as ML vectors."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    true = 0.5 * np.random.default_rng(99).normal(size=width)
    fields = [
        {"name": "features", "type": VECTOR, "nullable": True, "metadata": {}},
        {"name": "label", "type": "integer", "nullable": True, "metadata": {}},
    ]
    about = {
        "org.apache.spark.version": "4.0.0",
        "org.apache.spark.sql.parquet.row.metadata": json.dumps(
            {"type": "struct", "fields": fields}
        ),
    }
    for file in range(FILES):
        rng = np.random.default_rng(file)
        writer = None
        count = rows // FILES
        for start in range(0, count, 25_000):
            n = min(25_000, count - start)
            # Popular features first, as words are.
            drawn = (width ** rng.random((n, stored))).astype(np.int64) % width
            drawn = np.sort(drawn, axis=1).astype(np.int32)
            fresh = np.diff(drawn, axis=1, prepend=-1) > 0
            lengths = fresh.sum(axis=1)
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
            indices = drawn[fresh]
            eta = np.add.reduceat(true[indices], np.asarray(offsets)[:-1])
            label = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.int32)
            vectors = pa.StructArray.from_arrays(
                [
                    pa.array(np.zeros(n, np.int8)),
                    pa.array(np.full(n, width, np.int32)),
                    pa.ListArray.from_arrays(offsets, pa.array(indices)),
                    pa.ListArray.from_arrays(offsets, pa.array(np.ones(len(indices)))),
                ],
                ["type", "size", "indices", "values"],
            )
            table = pa.table({"features": vectors, "label": pa.array(label)})
            table = table.replace_schema_metadata(about)
            writer = writer or pq.ParquetWriter(folder / f"part-{file}.parquet", table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()


def ours(spark: Any, source: Path, folder: Path) -> dict[str, Any]:
    begun = time.perf_counter()
    data = adopt(spark, source, folder, label="label", features="features", overwrite=True)
    adopted = time.perf_counter() - begun
    model = LogisticRegression(alpha=ALPHA, tol=1e-4, form="gang", memoryPerTask="2g").fit(data)
    seconds = time.perf_counter() - begun
    loss = model.deviance / 2 / data.n_rows
    norm = sum(b * b for t, b in model.coefficients.items() if t != "(intercept)")
    return {
        "seconds": seconds,
        "before": adopted,
        "passes": model.summary["passes"],
        "objective": loss + ALPHA / 2 * norm,
        "driver_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def mllib(spark: Any, source: Path) -> dict[str, Any]:
    from pyspark.ml.classification import LogisticRegression as Theirs

    begun = time.perf_counter()
    frame = spark.read.parquet(str(source))
    learner = Theirs(regParam=ALPHA, standardization=False, maxIter=500, tol=1e-8)
    history = learner.fit(frame).summary.objectiveHistory
    return {
        "seconds": time.perf_counter() - begun,
        "before": 0.0,
        "passes": len(history) - 1,
        "objective": history[-1],
        "driver_mb": float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=1_000_000)
    parser.add_argument("--stored", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("statistics_wide", memory="4g")
    runs: dict[str, list[dict[str, Any]]] = {"sparkml_dist": [], "mllib": []}
    with scratch() as folder:
        write_rows(folder / "rows", args.rows, args.columns, args.stored)
        for repeat in range(args.repeats):
            for name in sorted(runs, reverse=repeat % 2 == 0):
                if name == "mllib":
                    runs[name].append(mllib(spark, folder / "rows"))
                else:
                    runs[name].append(ours(spark, folder / "rows", folder / "adopted"))
                print(name, runs[name][-1])
    middle = {
        name: {key: median([run[key] for run in each]) for key in each[0]}
        for name, each in runs.items()
    }
    mine, theirs = middle["sparkml_dist"], middle["mllib"]
    excess = mine["objective"] - theirs["objective"]
    report(
        "statistics_wide",
        f"L2 logistic regression (alpha {ALPHA:g}) of {args.rows:,} rows with {args.columns:,} "
        f"sparse features, {args.stored} stored values in a row, to a gradient of 1e-4 of the "
        f"first one; medians of {args.repeats}.",
        [
            {
                "solver": name,
                "seconds": f"{values['seconds']:.1f}",
                "of them before the fit": f"{values['before']:.1f}",
                "passes or iterations": f"{values['passes']:.0f}",
                "objective": f"{values['objective']:.8f}",
                "MiB of the driver's Python": f"{values['driver_mb']:.0f}",
            }
            for name, values in middle.items()
        ],
        target="the driver in less than 1,024 MiB",
        measured=f"{mine['driver_mb']:.0f} MiB, {mine['seconds'] / theirs['seconds']:.2f} of "
        f"MLlib's time, objective {excess:+.1e}",
        met=mine["driver_mb"] < 1024,
    )


if __name__ == "__main__":
    main()
