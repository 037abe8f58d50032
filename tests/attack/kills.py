"""Jobs that are killed: at each place, with and without an earlier output, and begun again after.

python -m tests.attack.kills [--table FILE] [--only PLACE …]

A killed run may leave the earlier output or its own, and the next run with the same options ends
well. ``make test-attack`` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.attack.probe import ROOT

_PATIENCE = 300.0
SUBMIT = Path(sys.executable).with_name("spark-submit")


@dataclass(frozen=True)
class Place:
    """A moment of a job, told from what lies in its output.

    Attributes
    ----------
    name : str
    reached : callable
        ``reached(output, before)`` tells from the files there, and from those of an earlier output.
    """

    name: str
    reached: Callable[[set[str], set[str]], bool]


def _new(pattern: str, least: int = 1) -> Callable[[set[str], set[str]], bool]:
    def reached(there: set[str], before: set[str]) -> bool:
        return sum(Path(n).match(pattern) for n in there - before) >= least

    return reached


PLACES = (
    Place("folder taken", _new("*job.json")),
    Place("first shard written", _new("shards*/*.parquet")),
    Place("first member written", _new("members/*.skops")),
    Place("third member written", _new("members/*.skops", 3)),
    Place("model complete", _new("model/manifest.json")),
    Place("plots being drawn", _new("plots/*")),
    Place("metrics written", _new("metrics.json")),
    Place("taking its place", _new("complete.json")),
)


def command(output: Path, seed: int, *options: str) -> list[str]:
    """Return the command of a job."""
    return [
        *(str(SUBMIT), "--master", "local[2]", "--conf", "spark.ui.enabled=false"),
        *("--properties-file", "spark-defaults.conf", "jobs/train_ensemble.py"),
        *("--train", "data/machines.csv", "--label", "state", "--members", "6", "--shards", "2"),
        *("--features", "hours", "vibration", "load", "--seed", str(seed)),
        *("--output", str(output), *options),
    ]


def run(arguments: list[str], log: Path) -> int:
    """Run a job to its end."""
    with log.open("a") as sink:
        return subprocess.run(
            arguments, cwd=ROOT, stdout=sink, stderr=sink, timeout=_PATIENCE, check=False
        ).returncode


def run_until(arguments: list[str], place: Place, output: Path, log: Path) -> bool:
    """Run a job and kill all its processes at a place; tell whether it was reached."""
    before = names_in(output)
    with log.open("a") as sink:
        job = subprocess.Popen(
            arguments, cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True
        )
        until = time.monotonic() + _PATIENCE
        while job.poll() is None and time.monotonic() < until:
            if place.reached(names_in(output), before):
                break
            time.sleep(0.002)
        reached = job.poll() is None
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    time.sleep(0.5)  # workers of Python end with their daemon
    return reached


def names_in(output: Path) -> set[str]:
    """Return the names of the files there, with the time of those that are replaced in place."""
    found = set()
    for folder, _, files in os.walk(output):
        for name in files:
            found.add(str(Path(folder, name).relative_to(output)))
    return found


def state(output: Path) -> str:
    """Return which run's output lies there: its seed, or what is wrong with it."""
    import sparkml_dist as sd

    try:
        metrics = json.loads((output / "metrics.json").read_text())
        seed = json.loads((output / "job.json").read_text())["plan"]["seed"]
        model = sd.load_model(str(output / "model"))
        shards = sd.open_partitioned(str(output / "shards"))
        shards.verify()
    except Exception as error:  # noqa: BLE001 - whatever it is, the output is lost
        return f"lost: {type(error).__name__}: {error}"
    if metrics.get("status") != "ok" or len(model.content["members"]) != 6:
        return f"lost: metrics {metrics.get('status')}"
    return f"seed {seed}"


def main() -> None:
    """Kill the job at every place in every way, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="names of places")
    args = parser.parse_args()
    rows, lost = [], 0
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        work = Path(temporary)
        log, good = work / "log", work / "good"
        if run(command(good, 1), log) != 0:
            raise SystemExit(log.read_text()[-3000:])
        for place in [p for p in PLACES if not args.only or p.name in args.only]:
            for way in ("new", "--overwrite", "--overwrite, then --resume"):
                output = work / "out"
                shutil.rmtree(output, ignore_errors=True)
                earlier = way != "new"
                if earlier:
                    shutil.copytree(good, output)
                first = ["--overwrite"] if earlier else []
                again = ["--resume"] if not earlier or "resume" in way else ["--overwrite"]
                reached = run_until(command(output, 2, *first), place, output, log)
                left = state(output) if earlier else "-"
                status = run(command(output, 2, *again), log)
                after = state(output)
                fine = status == 0 and after == "seed 2" and not left.startswith("lost")
                lost += not fine
                rows.append((place.name, way, "yes" if reached else "no", left, status, after))
                print(rows[-1], flush=True)
        if lost:
            print(log.read_text()[-5000:])
    lines = [
        f"{len(rows)} runs killed, {lost} with a loss.",
        "",
        "| killed at | run | reached | left | status of the next run | its output |",
        "|---|---|---|---|---:|---|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.table is not None:
        args.table.write_text(text)
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    main()
