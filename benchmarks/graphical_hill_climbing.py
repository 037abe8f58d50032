"""Hill climbing on alarm: BayesianNetwork from a DataFrame, pyAgrum and pgmpy in one process.

With ``--large ROWS`` also the number of passes and the cost per row of so many rows, drawn from the
true network, and of a tenth of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from common import DATA, ROOT, median, report, scratch, seconds, session

PEERS = ROOT / ".venv-peers-graphical" / "bin" / "python"
TARGET = -219975.17


def peer(name: str, table: Path) -> dict[str, Any]:
    """Run a peer in a process of its own; return its seconds and the BIC of its graph."""
    script = ROOT / "benchmarks" / "peers" / "graphical.py"
    done = subprocess.run(
        [PEERS, script, name, table], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bic(frame: Any, arcs: list[tuple[str, str]]) -> float:
    """Return the BIC of a graph on rows in memory, for ours and the peers' alike."""
    import numpy as np

    total, n = 0.0, len(frame)
    for child in frame.columns:
        parents = [a for a, b in arcs if b == child]
        counts = frame.groupby([*parents, child]).size().to_numpy(float)
        total += float((counts * np.log(counts)).sum())
        margin = frame.groupby(parents).size().to_numpy(float) if parents else np.array([float(n)])
        total -= float((margin * np.log(margin)).sum())
        cells = int(np.prod([frame[p].nunique() for p in parents], dtype=int))
        total -= np.log(n) / 2 * (frame[child].nunique() - 1) * cells
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["pyagrum", "pgmpy"])
    parser.add_argument("--large", type=int, default=0, help="rows of the large table")
    arguments = parser.parse_args()
    import pandas as pd

    import sparkml_dist as sd

    frame = pd.read_csv(DATA / "alarm.csv.gz", dtype=str)
    spark = session("graphical_hill_climbing", memory="2g")
    table = spark.createDataFrame(frame).repartition(2).cache()
    table.count()
    estimator = sd.BayesianNetwork(estimation="maximum-likelihood")
    estimator.fit(table.limit(500))  # starts the workers
    times: dict[str, list[float]] = {"sparkml_dist": []}
    scores: dict[str, float] = {}
    notes: dict[str, str] = {}
    with scratch() as folder:
        path = folder / "alarm.csv"
        frame.to_csv(path, index=False)
        for _ in range(arguments.repeats):
            made: list[Any] = []
            times["sparkml_dist"].append(seconds(lambda m=made: m.append(estimator.fit(table))))
            model = made[0]
            scores["sparkml_dist"] = bic(frame, model.arcs)
            notes["sparkml_dist"] = f"{model.summary['passes']} passes"
            for name in arguments.peers:
                found = peer(name, path)
                times.setdefault(name, []).append(found["seconds"])
                scores[name] = bic(frame, [(a, b) for a, b in found["arcs"]])
                notes[name] = found["version"]
    rows: list[dict[str, Any]] = [
        {
            "search": name,
            "rows": f"{len(frame):,}",
            "seconds": f"{median(spent):.2f}",
            "BIC": f"{scores[name]:.2f}",
            "note": notes[name],
        }
        for name, spent in times.items()
    ]
    note = ""
    if arguments.large:
        note, more = _large(sd, arguments.large)
        rows += more
    ours = median(times["sparkml_dist"])
    ratio = ours / median(times["pyagrum"]) if "pyagrum" in times else float("nan")
    report(
        "graphical_hill_climbing",
        "Hill climbing by BIC on alarm (37 variables): ours end to end from a cached DataFrame on "
        "local[2], with the search over orders; pyAgrum (C++) and pgmpy in one process from a "
        "pandas DataFrame, reading not counted.",
        rows,
        target=f"≤ 1.0 × pyAgrum's time, and a BIC ≥ {TARGET:,.2f}",
        measured=f"{ratio:.2f} × its time, BIC {scores['sparkml_dist']:,.2f}",
        met=bool(ratio <= 1.0 and scores["sparkml_dist"] >= TARGET),
        note=note,
    )


def _large(sd: Any, size: int) -> tuple[str, list[dict[str, Any]]]:
    true = sd.read_network(DATA / "alarm.bif.gz")
    found: dict[int, tuple[float, int]] = {}
    rows = []
    with scratch() as folder:
        for n in (size // 10, size):
            true.sample(n, seed=1).write.parquet(str(folder / str(n)))
            table = sd.get_session().read.parquet(str(folder / str(n)))
            made: list[Any] = []
            spent = seconds(lambda t=table, m=made: m.append(sd.BayesianNetwork().fit(t)))
            found[n] = (spent, made[0].summary["passes"])
            shown = {"search": "sparkml_dist", "rows": f"{n:,}", "seconds": f"{spent:.1f}"}
            rows.append(
                {
                    **shown,
                    "BIC": f"{made[0].summary['score']:.1f}",
                    "note": f"{found[n][1]} passes",
                }
            )
    (small, few), (great, many) = found[size // 10], found[size]
    growth = great / size / (small / (size // 10)) - 1
    return (
        f"Drawn from the true network: from {size // 10:,} to {size:,} rows the cost per row "
        f"changes by {growth:+.0%}, and the passes from {few} to {many}.",
        rows,
    )


if __name__ == "__main__":
    main()
