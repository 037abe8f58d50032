"""Silos as real processes, with tables of their own, for the tests of silos elsewhere."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from tests.examples import ROOT

MAIN = ROOT / "tests" / "federated" / "silo_main.py"
NAMES = ["east", "north", "south"]
SECRET = 1234.5678901234


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Write a CSV file for each silo: columns, categories and classes in different orders."""
    random = np.random.default_rng(3)
    found = {}
    for number, name in enumerate(NAMES):
        rows = 20 + 10 * number
        frame = pd.DataFrame(
            {
                "a": random.normal(size=rows).round(6),
                "c": random.choice(["x", "y", "z"][: number + 1], rows),
                "b": random.integers(0, 50, rows),
                "y": random.choice(["no", "yes", "maybe"][: 2 + (number > 1)], rows),
            }
        )
        if number == 1:
            frame = frame[["y", "b", "c", "a"]]
            frame.loc[0, "a"] = SECRET
        frame.to_csv(folder / f"{name}.csv", index=False)
        found[name] = frame
    return found


def start(
    address: str, certificates: Path, data: Path, folder: Path, *before: str, give_up: str = "60"
) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *before,
            sys.executable,
            str(MAIN),
            address,
            str(certificates),
            str(data),
            str(folder),
            give_up,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@contextmanager
def silos(address: str, certificates: Path, folder: Path, names=NAMES):
    """Run a process for each silo; end those that are left."""
    running = {
        name: start(
            address, certificates / f"silo-{name}", folder / f"{name}.csv", folder / f"home-{name}"
        )
        for name in names
    }
    try:
        yield running
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
