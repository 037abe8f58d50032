"""Larger than memory: a logistic regression of 12 GB through two workers of 1 GiB."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import report
from ensemble_big import cut, limited_session

from sparkml_dist import LogisticRegression


@contextlib.contextmanager
def peak_of_workers() -> Iterator[list[float]]:
    """Watch the Python workers below this process; give the largest resident MB seen so far."""
    import psutil

    peak, done = [0.0], threading.Event()

    def watch() -> None:
        here = psutil.Process()
        while not done.wait(0.2):
            for process in here.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.name().startswith("python"):
                        peak[0] = max(peak[0], process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def fitted(data: Any, form: str) -> tuple[dict[str, Any], Any]:
    """Fit in one form; return what it took, and the model."""
    begun = time.perf_counter()
    with peak_of_workers() as peak:
        model = LogisticRegression(form=form, memoryPerTask="800m").fit(data)
    wall = time.perf_counter() - begun
    passes = model.summary["pass_seconds"]
    found = {
        "form": form,
        "data GB": f"{data.n_rows * data.n_features * 4 / 1e9:.1f}",
        "rows": f"{data.n_rows:,}",
        "fit s": f"{wall:.0f}",
        "passes": f"{len(passes)}",
        "µs per row and pass": f"{wall / data.n_rows / len(passes) * 1e6:.2f}",
        "peak worker MB": f"{peak[0]:.0f}",
        "log-likelihood": f"{model.logLikelihood:.6f}",
    }
    print(found, flush=True)
    return found, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--features", type=int, default=160)
    parser.add_argument("--forms", nargs="+", default=["jobs", "gang"])
    parser.add_argument("--folder", help="where shards stay; a temporary folder by default")
    arguments = parser.parse_args()
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="sparkml_dist-big-"))
    rows = int(arguments.gigabytes * 1e9 / (4 * arguments.features))
    spark = limited_session()
    try:
        data = cut(spark, folder / "shards", rows, arguments.features)
        found, models = zip(*(fitted(data, form) for form in arguments.forms), strict=True)
        spark.stop()
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    peak = max(float(row["peak worker MB"]) for row in found)
    names = list(models[0].standardErrors)
    first = models[0]
    apart = max(
        abs(now[name] / before[name] - 1)
        for model in models
        for now, before in (
            (model.coefficients, first.coefficients),
            (model.standardErrors, first.standardErrors),
        )
        for name in names
    )
    report(
        "statistics_big",
        f"{arguments.gigabytes:g} GB of float32 ({rows:,} × {arguments.features}) generated in "
        "Spark, two workers of one core (`local-cluster[2,1,2048]`) whose Python may have 1 GiB "
        f"each (RLIMIT_DATA). {len(names)} coefficients with standard errors.",
        list(found),
        target="completes; peak worker RSS < 1 GiB (1,074 MB)",
        measured=f"peak {peak:.0f} MB; coefficients and standard errors of the forms agree to "
        f"{apart:.0e}",
        met=peak < 1074,
    )


if __name__ == "__main__":
    sys.exit(main())
