"""One job by spark-submit, and as a task of Airflow: what the operator and Airflow add.

It needs the environment that ``make test-orchestrators`` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from common import ROOT, alternating, median, report, scratch

OWN = ROOT / ".venv-orchestrators" / "bin"
# Of the time of spark-submit.
TARGET = 1.10
DAG = """
import os
from datetime import datetime
from airflow.sdk import DAG
from sparkml_dist.airflow import JobOperator

with DAG("overhead", schedule=None, start_date=datetime(2026, 1, 1)):
    JobOperator(task_id="job", application=os.environ["JOB"],
                application_args=[*os.environ["OPTIONS"].split(), "--output", os.environ["OUT"]],
                properties_file=os.environ["PROPERTIES"])
"""
OPTIONS = (
    f"--train {ROOT}/data/machines.csv --label state --key machine --categorical site "
    "--members 4 --shards 2"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--shared", action="store_true", help="say in the result that other work ran too"
    )
    args = parser.parse_args()
    if not (OWN / "airflow").exists():
        sys.exit("Run 'make test-orchestrators' first: it makes .venv-orchestrators.")
    with scratch() as home:
        (home / "dags").mkdir()
        (home / "dags" / "overhead.py").write_text(DAG)
        bins = [str(OWN), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTHONPATH"))}
        env |= {
            "PATH": os.pathsep.join(bins),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
            "JOB": str(ROOT / "jobs" / "train_ensemble.py"),
            "OPTIONS": OPTIONS,
            "PROPERTIES": str(ROOT / "spark-defaults.conf"),
        }

        def run(*command: str, **more: str) -> None:
            with (home / "log").open("wb") as log:
                subprocess.run(command, env=env | more, check=True, stdout=log, stderr=log)

        number = iter(range(1000))

        def submit() -> None:
            run(
                *("spark-submit", "--master", "local[2]", "--properties-file", env["PROPERTIES"]),
                *(env["JOB"], *OPTIONS.split(), "--output", str(home / f"out{next(number)}")),
            )

        def airflow() -> None:
            run("airflow", "dags", "test", "overhead", OUT=str(home / f"out{next(number)}"))

        run("airflow", "db", "migrate")
        submit()  # the files of both environments are in the cache
        airflow()
        times = alternating(args.repeats, submit=submit, airflow=airflow)
        with sqlite3.connect(home / "airflow.db") as database:
            rows = database.execute("select duration from task_instance where state = 'success'")
            tasks = [duration for (duration,) in rows][-args.repeats :]
    base, task, whole = median(times["submit"]), median(tasks), median(times["airflow"])
    named = {
        "`spark-submit`": times["submit"],
        "the task, from its start to its end": tasks,
        "`airflow dags test`, the whole command": times["airflow"],
    }
    report(
        "airflow_overhead",
        "Seconds of a training on 1,500 rows, by `spark-submit` and as the task of a DAG "
        f"(Airflow {version('apache-airflow')}, its Spark provider "
        f"{version('apache-airflow-providers-apache-spark')}).",
        [
            {
                "what": name,
                "seconds (median)": f"{median(values):.1f}",
                "all": ", ".join(f"{value:.1f}" for value in values),
                "ratio": f"{median(values) / base:.2f}",
            }
            for name, values in named.items()
        ],
        target=f"the task at most {TARGET:.2f} of `spark-submit`",
        measured=f"{task / base:.2f} (the task {task - base:+.1f} s, the command "
        f"{whole - base:+.1f} s)",
        met=task / base <= TARGET,
        note="The task begins when Airflow has loaded the DAG and starts it: it has the operator, "
        "the provider's hook, the log, line by line, and the XCom. The command has Airflow's "
        "imports, its database and the serialization of the DAG as well, which a scheduler pays "
        "once; it adds a wait of its own before each task, which is not measured here."
        + (" Other work ran on the machine." if args.shared else ""),
    )


def version(package: str) -> str:
    """Return the version of a package in Airflow's environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([OWN / "python", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
