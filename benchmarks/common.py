"""What the benchmarks share: a session, medians, and the table that is committed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# Real data that lies beside a developer's checkout.
DATA = Path(os.environ.get("SPARKML_DIST_DATA", ROOT.parent / "shared" / "data"))
PACKAGES = (
    "pyspark",
    "pyarrow",
    "numpy",
    "scikit-learn",
    "tensorflow-cpu",
    "keras",
    "horovod",
    "xgboost-cpu",
)


def session(name: str, master: str = "local[2]", memory: str = "3g", **conf: str) -> SparkSession:
    """Start a session on `master` whose settings stand in the result."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--driver-memory {memory} pyspark-shell"
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(f"benchmark {name}").master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        **conf,
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sparkml_dist-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seconds(action: Callable[[], Any]) -> float:
    """Return the wall seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alternating(repeats: int, **actions: Callable[[], Any]) -> dict[str, list[float]]:
    """Time each action `repeats` times in turn, so that drift of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            time.sleep(1.0)  # what the one before left running in the JVM must not count here
            times[name].append(seconds(action))
    return times


def generated(
    spark: SparkSession,
    rows: int,
    features: int = 28,
    seed: int = 0,
    partitions: int = 8,
    start: int = 0,
) -> DataFrame:
    """Make a classification problem inside Spark: 16 clusters per class, 5% of labels turned.

    In batches, from their numbers alone, so that any size can be made without memory; rows from
    another `start` are new draws of the same problem.
    """
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    centres = rng.uniform(-2.0, 2.0, (32, features)).astype(np.float32)
    mixing = rng.normal(size=(32, features, features)).astype(np.float32) / np.sqrt(features)

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch.column(0).to_numpy()
            draw = np.random.default_rng([seed, int(ids[0])])
            cluster = draw.integers(0, 32, len(ids))
            noise = draw.standard_normal((len(ids), features), dtype=np.float32)
            X = np.empty_like(noise)
            for k in range(32):
                of_k = cluster == k
                X[of_k] = centres[k] + noise[of_k] @ mixing[k]
            y = (cluster % 2) ^ (draw.random(len(ids)) < 0.05)
            columns = [pa.array(np.ascontiguousarray(X[:, j])) for j in range(features)]
            names = [f"f{j}" for j in range(features)]
            yield pa.RecordBatch.from_arrays(
                [*columns, pa.array(y.astype(np.int32))], [*names, "label"]
            )

    fields = ", ".join(f"f{j} float" for j in range(features))
    return spark.range(start, start + rows, 1, partitions).mapInArrow(make, f"{fields}, label int")


def machine() -> dict[str, str]:
    """Return what the numbers were measured on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "machine": f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB",
        "python": platform.python_version(),
        **versions,
    }


def median(values: list[float]) -> float:
    return float(statistics.median(values))


def report(
    name: str,
    claim: str,
    rows: list[dict[str, Any]],
    *,
    target: str,
    measured: str,
    met: bool,
    note: str = "",
) -> None:
    """Print the table and write it to ``benchmarks/results``."""
    where = machine()
    header = list(rows[0])
    lines = [
        f"# {name}",
        "",
        claim,
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *["| " + " | ".join(str(row[k]) for k in header) + " |" for row in rows],
        "",
        f"Target: {target}. Measured: **{measured}** ({'met' if met else 'missed'}).",
        *(["", note] if note else []),
        "",
        "Command: `python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "`",
        "",
        "; ".join(f"{k} {v}" if k != "machine" else v for k, v in where.items()) + ".",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "name": name,
        "target": target,
        "measured": measured,
        "met": met,
        "rows": rows,
        **where,
    }
    (out / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
