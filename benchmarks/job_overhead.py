"""A small job from spark-submit to its end, against the least that any Spark application does."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from common import ROOT, alternating, median, report, scratch

TARGET = 1.4
# What someone writes who reads a CSV with inferred types and counts by class.
BARE = """
import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("bare").getOrCreate()
table = spark.read.csv(sys.argv[1], header=True, inferSchema=True)
table.groupBy(sys.argv[2]).count().show()
spark.stop()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--table", default=str(ROOT / "data" / "machines.csv"))
    parser.add_argument("--label", default="state")
    args = parser.parse_args()
    stages: list[dict[str, float]] = []
    with scratch() as folder:
        script = folder / "bare.py"
        script.write_text(BARE)

        def bare() -> None:
            submit(script, args.table, args.label)

        def job() -> None:
            output = folder / f"out-{len(stages)}"
            options = ["--train", args.table, "--label", args.label, "--categorical", "auto"]
            submit(ROOT / "jobs" / "train_ensemble.py", *options, "--output", str(output))
            stages.append(json.loads((output / "metrics.json").read_text())["seconds"])

        times = alternating(args.repeats, bare=bare, job=job)
    base, whole = median(times["bare"]), median(times["job"])
    names = {"bare": "bare application: inferred types, count by class", "job": "`train_ensemble`"}
    rows = [
        {
            "what": names[key],
            "seconds (median)": f"{median(values):.1f}",
            "all": ", ".join(f"{v:.1f}" for v in values),
            "ratio": f"{median(values) / base:.2f}",
        }
        for key, values in times.items()
    ]
    for stage in ("start", "read", "partition", "fit", "evaluate", "plot"):
        values = [found[stage] for found in stages]
        rows.append(
            {
                "what": f"of it, {stage}",
                "seconds (median)": f"{median(values):.1f}",
                "all": ", ".join(f"{v:.1f}" for v in values),
                "ratio": "",
            }
        )
    rest = [value - found["total"] for value, found in zip(times["job"], stages, strict=True)]
    rows.append(
        {
            "what": "of it, before the job's first line and after its last",
            "seconds (median)": f"{median(rest):.1f}",
            "all": ", ".join(f"{v:.1f}" for v in rest),
            "ratio": "",
        }
    )
    report(
        "job_overhead",
        f"Seconds of `spark-submit` on local[2] for a table of {rows_of(args.table):,} rows: a job "
        "that trains an ensemble, scores held-out rows, draws pictures and saves the model, "
        "against a bare application that reads the same table.",
        rows,
        target=f"at most {TARGET} of the bare application",
        measured=f"{whole / base:.2f}",
        met=whole <= TARGET * base,
    )


def rows_of(table: str) -> int:
    return len(Path(table).read_text().splitlines()) - 1


def submit(script: Path, *options: str) -> None:
    """Run an application as users do."""
    home = Path(sys.executable).parent
    command = [home / "spark-submit", "--master", "local[2]"]
    command += ["--properties-file", ROOT / "spark-defaults.conf", script, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


if __name__ == "__main__":
    main()
