"""Many silos on one machine: overhead for each silo and round, the driver's memory, and Flower."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, report, scratch, seconds, session

PEER = ROOT / ".venv-peers-federated" / "bin" / "python"
FEATURES, CLASSES, RATE, BATCH = 20, 10, 0.1, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--silos", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rows", type=int, default=50, help="of a silo, in the mean")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peer-silos", type=int, default=100)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        _make(Path(arguments.make), arguments.silos[0], arguments.rows)
        return
    if arguments.measure:
        print(json.dumps(_measured(arguments.measure, arguments)))
        return
    rows: list[dict[str, Any]] = []
    found: dict[int, dict[str, Any]] = {}
    for silos in sorted({*arguments.silos, arguments.peer_silos}):
        found[silos] = _apart(silos, arguments)
        rows.append(_line("sparkml_dist", silos, found[silos], arguments.rounds))
        print(rows[-1], flush=True)
    peer = None
    if PEER.exists():
        with scratch() as folder:
            peer = _flower(folder, arguments)
        rows.append(_line("Flower", arguments.peer_silos, peer, arguments.rounds))
        print(rows[-1], flush=True)
    few, many = found[min(arguments.silos)], found[max(arguments.silos)]
    overhead = 1000 * many["seconds"] / arguments.rounds / max(arguments.silos)
    growth = many["driver_mb"] / few["driver_mb"] - 1
    measured = (
        f"{overhead:.1f} ms for each silo and round of {max(arguments.silos):,} silos; the driver "
        f"grows by {growth:.0%} from {min(arguments.silos):,} silos"
    )
    if peer is not None:
        own = found[arguments.peer_silos]
        measured += (
            f"; {peer['seconds'] / own['seconds']:.2f} × Flower's rounds per second at "
            f"{arguments.peer_silos:,} silos, accuracy {own['accuracy']:.3f} against "
            f"{peer['accuracy']:.3f}"
        )
    report(
        "federated_scale",
        f"FedAvg of a softmax regression ({FEATURES} features, {CLASSES} classes, one pass in "
        f"batches of {BATCH}), {arguments.rows} rows in a silo in the mean, classes by a Dirichlet "
        f"distribution (α = 0.5), {arguments.rounds} rounds, two cores. Ours: silos are folders of "
        "shards, a round is a Spark job; the time of writing the shards stands beside. Flower: its "
        "simulation with Ray, the same local steps in NumPy, rows in memory. Driver: resident "
        "memory of its Python process at the end, over that before the federation.",
        rows,
        target="the driver's memory flat in the number of silos (within 10%)",
        measured=measured,
        met=growth <= 0.1,
    )


def _line(name: str, silos: int, found: dict[str, Any], rounds: int) -> dict[str, Any]:
    driver = found.get("driver_mb")
    return {
        "system": name,
        "silos": f"{silos:,}",
        "seconds a round": f"{found['seconds'] / rounds:.2f}",
        "ms a silo and round": f"{1000 * found['seconds'] / rounds / silos:.1f}",
        "rounds/s": f"{rounds / found['seconds']:.2f}",
        "accuracy": f"{found['accuracy']:.3f}",
        "shards, s": f"{found['shards']:.1f}" if "shards" in found else "",
        "driver, MB": f"{driver:.0f}" if driver else "",
        "driver grew, MB": f"{found['driver_grew_mb']:.1f}" if driver else "",
    }


def _rows(silos: int, rows: int) -> dict[str, Any]:
    from sparkml_dist.federated.simulation import label_skew

    rng = np.random.default_rng(0)
    n = silos * rows
    centers = rng.normal(size=(CLASSES, FEATURES))
    y = rng.integers(0, CLASSES, n + 5000)
    X = centers[y] + rng.normal(scale=2.0, size=(n + 5000, FEATURES))
    silo = label_skew(np.arange(n), y[:n], silos, alpha=0.5)
    return {"X": X[:n], "y": y[:n], "silo": silo, "X_test": X[n:], "y_test": y[n:]}


def _make(folder: Path, silos: int, rows: int) -> None:
    """Write the rows of all silos, and those for the test."""
    import pandas as pd

    data = _rows(silos, rows)
    frame = pd.DataFrame(data["X"], columns=[f"f{i}" for i in range(FEATURES)])
    frame["y"], frame["silo"] = data["y"], data["silo"]
    frame.to_parquet(folder / "rows.parquet")
    np.savez(folder / "test.npz", X=data["X_test"], y=data["y_test"])


def _apart(silos: int, arguments: Any) -> dict[str, Any]:
    """Measure in a process of its own, whose memory is that of this number of silos."""
    command = [sys.executable, __file__, "--measure", str(silos)]
    command += ["--rows", str(arguments.rows), "--rounds", str(arguments.rounds)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr[-3000:])
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _measured(silos: int, arguments: Any) -> dict[str, Any]:
    from sparkml_dist.federated import Federation
    from sparkml_dist.federated.estimators.fit_federated import fit_federated

    spark = session("federated_scale")
    with scratch() as folder:
        # In another process, so that the rows are no part of this one's memory.
        command = [sys.executable, __file__, "--make", str(folder), "--silos", str(silos)]
        subprocess.run([*command, "--rows", str(arguments.rows)], check=True)
        with np.load(folder / "test.npz") as made_rows:
            test = made_rows["X"], made_rows["y"]
        df = spark.read.parquet(str(folder / "rows.parquet"))
        df.count()
        before = _resident()
        made: list[Any] = []
        shards = seconds(
            lambda: made.append(
                Federation.from_frame(df, "silo", label="y", folder=str(folder / "federation"))
            )
        )
        made[0].schema  # noqa: B018 - the silos agree before the clock runs
        models: list[Any] = []
        spent = seconds(
            lambda: models.append(
                fit_federated(
                    made[0],
                    rounds=arguments.rounds,
                    learningRate=RATE,
                    batchSize=BATCH,
                    standardization=False,
                    evaluateEvery=0,
                )
            )
        )
        after = _resident()
        predicted = models[0].to_sklearn().predict(test[0])
    spark.stop()
    return {
        "seconds": spent,
        "shards": shards,
        "accuracy": float((np.asarray(predicted) == test[1]).mean()),
        "driver_mb": after,
        "driver_grew_mb": after - before,
    }


def _resident() -> float:
    """Return the resident memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _flower(folder: Path, arguments: Any) -> dict[str, Any]:
    np.savez(folder / "rows.npz", **_rows(arguments.peer_silos, arguments.rows))
    task = {
        "silos": arguments.peer_silos,
        "rounds": arguments.rounds,
        "rate": RATE,
        "batch": BATCH,
    }
    (folder / "task.json").write_text(json.dumps(task))
    script = ROOT / "benchmarks" / "peers" / "flower.py"
    subprocess.run([str(PEER), str(script), str(folder)], check=True, capture_output=True)
    found: dict[str, Any] = json.loads((folder / "flower.json").read_text())
    return found


if __name__ == "__main__":
    main()
